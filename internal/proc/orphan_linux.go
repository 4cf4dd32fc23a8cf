package proc

import "syscall"

func dieWithParent(attributes *syscall.SysProcAttr, orphaned syscall.Signal) {
	attributes.Pdeathsig = orphaned
}
