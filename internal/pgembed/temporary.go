package pgembed

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// temporaryName is the pattern of the directories that Start makes. What bears it and nobody has locked is abandoned.
const temporaryName = "hosho-postgres-*"

// temporary is a directory that goes with the server. The lock belongs to the open file, which the server's processes
// inherit: it ends when the parent and the last of them are gone, however they went.
type temporary struct {
	dir  string
	lock *os.File
}

// newTemporary also removes the directories that killed parents have left there.
func newTemporary(parent string) (temporary, error) {
	if err := sweep(parent); err != nil {
		return temporary{}, err
	}
	for {
		dir, err := os.MkdirTemp(parent, temporaryName)
		if err != nil {
			return temporary{}, err
		}
		lock, err := lockDir(dir)
		if err == nil {
			return temporary{dir, lock}, nil
		}
		// Another sweep found the directory before it was locked, and has removed it or is about to.
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			return temporary{}, err
		}
	}
}

// remove may be called twice.
func (t temporary) remove() error {
	err := os.RemoveAll(t.dir)
	t.lock.Close()
	return err
}

func sweep(parent string) error {
	dirs, err := filepath.Glob(filepath.Join(parent, temporaryName))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		lock, err := lockDir(dir)
		if err != nil {
			continue // in use, or somebody else's
		}
		if err := (temporary{dir, lock}).remove(); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	return nil
}

// lockDir returns ErrNotExist also when the directory was removed before the lock was had.
func lockDir(dir string) (*os.File, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}
