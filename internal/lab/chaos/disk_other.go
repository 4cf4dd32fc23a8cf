//go:build !linux

package chaos

import "errors"

// disk is for Linux.
type disk struct{}

func mountDisk(string) (disk, error) {
	return disk{}, errors.New("the fault disk-full needs Linux, to mount a tmpfs")
}

func (disk) fill() error    { return nil }
func (disk) free() error    { return nil }
func (disk) unmount() error { return nil }
