package pgembed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// freeMemory removes the shared memory segment of a killed postmaster, which only its next start would remove, and of
// which macOS has 32. PostgreSQL says in postmaster.pid which one it is; the file is gone after any other end.
func (s *Server) freeMemory() error {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	const pidLine, segmentLine = 0, 6
	if len(lines) <= segmentLine || lines[pidLine] != fmt.Sprint(s.process.Load().Pid()) {
		return nil // ended before it had one, or another server's
	}
	var key, id int
	if _, err := fmt.Sscan(lines[segmentLine], &key, &id); err != nil {
		return fmt.Errorf("postmaster.pid: shared memory %q: %w", lines[segmentLine], err)
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) { // gone already
		return fmt.Errorf("remove shared memory segment %d: %w", id, err)
	}
	return nil
}
