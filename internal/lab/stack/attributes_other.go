//go:build !linux

package stack

import "syscall"

// attributes keep the terminal's Ctrl-C from the daemons, which their parent stops in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
