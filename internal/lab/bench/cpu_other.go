//go:build !linux

package bench

import (
	"errors"
	"time"
)

// cpuOf has no /proc to read here: the figures leave CPU times out.
func cpuOf(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

func cpuOfServer(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
