//go:build !linux

package pgembed

import "syscall"

// attributes keep the terminal's Ctrl-C from the server, which its parent stops in order. Only Linux can also tell a
// child that its parent has died.
func attributes(credential *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: credential, Setpgid: true}
}

// memoryDir would be a file system in memory.
func memoryDir() string { return "" }
