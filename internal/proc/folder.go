package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Folder is a temporary folder that goes with the program that made it: if that is killed, and can remove nothing, the
// next one of its kind does. The lock that says that somebody is there belongs to an open file, which all children
// inherit: it ends when the program and the last of them are gone, however they went.
type Folder struct {
	path string
	lock *os.File
}

// mark is the file in a folder that bears the lock. A folder without it is nobody's to remove.
const mark = ".running"

// NewFolder makes a folder in another one, and removes those of its kind that were left there. An empty parent is the
// folder for temporary files, which TMPDIR tells. Only this user may enter it.
func NewFolder(parent, kind string) (*Folder, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	parent, err := filepath.Abs(parent) // children may work in other folders
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	prefix := "hosho-" + kind + "-"
	sweep(parent, prefix)
	for {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, fmt.Errorf("make a temporary folder (TMPDIR says where): %w", err)
		}
		lock, err := newLock(path)
		if err == nil {
			return &Folder{path, lock}, nil
		}
		// Another sweep found the folder before it was locked, and has removed it or is about to.
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("make a temporary folder: %w", errors.Join(err, os.RemoveAll(path)))
		}
	}
}

// Path is where it is.
func (f *Folder) Path() string { return f.path }

// Remove removes the folder. It may be called twice.
func (f *Folder) Remove() error {
	err := os.RemoveAll(f.path)
	f.lock.Close()
	return err
}

// Keep has the folder stay, for somebody to look into.
func (f *Folder) Keep() error { return os.Remove(filepath.Join(f.path, mark)) }

// sweep removes what it may. What stays is no reason to do without a folder: it may be another user's, or the parent
// read-only.
func sweep(parent, prefix string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, entry := range entries {
		path := filepath.Join(parent, entry.Name())
		if !strings.HasPrefix(entry.Name(), prefix) || !entry.IsDir() {
			continue
		}
		if lock, err := lockIn(path, os.O_RDONLY); err == nil { // nobody is there
			_ = os.RemoveAll(path)
			lock.Close()
		}
	}
}

// newLock returns a lock that children inherit.
func newLock(path string) (*os.File, error) {
	lock, err := lockIn(path, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	inherited, err := syscall.Dup(int(lock.Fd())) // without close-on-exec
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(inherited), lock.Name()), nil
}

// lockIn returns ErrNotExist also when the folder was removed before the lock was had.
func lockIn(path string, flags int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(path, mark), flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_, err = os.Stat(lock.Name())
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}
