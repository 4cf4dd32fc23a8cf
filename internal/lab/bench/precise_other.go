//go:build !linux

package bench

import (
	"os"
	"time"
)

func sleep(d time.Duration) { time.Sleep(d) }

func datasync(file *os.File) error { return file.Sync() }
