package chaos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is a small file system of its own for a database, which may be filled up.
type disk struct{ dir string }

// diskSize holds a database with its log, and is soon full.
const diskSize = "size=1g"

// mountDisk makes one. The folder is made, too.
func mountDisk(dir string) (disk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return disk{}, err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, diskSize+",mode=0755"); err != nil {
		return disk{}, fmt.Errorf("mount a tmpfs at %s: %w: the fault disk-full needs the right to", dir, err)
	}
	return disk{dir}, nil
}

func (d disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill takes all the room that is left.
func (d disk) fill() error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = io.Copy(f, zeros{}); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("fill %s: got %w, want no space left", d.dir, err)
	}
	return nil
}

func (d disk) free() error { return os.Remove(d.ballast()) }

func (d disk) unmount() error { return unix.Unmount(d.dir, 0) }

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
