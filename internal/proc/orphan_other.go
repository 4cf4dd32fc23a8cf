//go:build !linux

package proc

import "syscall"

// dieWithParent does nothing: only Linux can tell a child that its parent has died.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
