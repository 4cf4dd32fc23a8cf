package daemon

import (
	"fmt"
	"os"
)

// Instance names this process among others of its kind: host:pid, where an operator finds its log.
func Instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}
