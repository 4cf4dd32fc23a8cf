//go:build !linux

package pgembed

// memoryDir would be a file system in memory.
func memoryDir() string { return "" }
