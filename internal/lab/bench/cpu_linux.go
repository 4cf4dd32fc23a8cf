package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc: on Linux programs are told hundredths of a second, whatever the kernel counts
// in.
const tick = 10 * time.Millisecond

// cpuOf returns the CPU time of a process, and of the children that it has waited for.
func cpuOf(pid int) (time.Duration, error) {
	p, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	return p.own + p.waitedFor, err
}

// cpuOfServer returns the CPU time of a PostgreSQL server: of its postmaster, the backends, and those that have ended.
func cpuOfServer(postmaster int) (time.Duration, error) {
	sum, err := cpuOf(postmaster)
	if err != nil {
		return 0, err
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if p, err := readStat(file); err == nil && p.parent == postmaster { // one that has just ended has no file
			sum += p.own
		}
	}
	return sum, nil
}

// stat is what a process's file in /proc tells.
type stat struct {
	parent         int
	own, waitedFor time.Duration
}

func readStat(file string) (stat, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return stat{}, err
	}
	// The name, in parentheses, may hold anything. After it: state, parent, and from the twelfth on the times.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("%s: got %q, want the times of a process", file, text)
	}
	var numbers [5]int64
	for i, at := range []int{1, 11, 12, 13, 14} {
		if numbers[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return stat{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	return stat{
		parent: int(numbers[0]), own: time.Duration(numbers[1]+numbers[2]) * tick,
		waitedFor: time.Duration(numbers[3]+numbers[4]) * tick,
	}, nil
}
