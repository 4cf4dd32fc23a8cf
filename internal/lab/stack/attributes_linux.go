package stack

import "syscall"

// attributes keep the terminal's Ctrl-C from the daemons, which their parent stops in order, and end them when the
// parent dies without having done so.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
