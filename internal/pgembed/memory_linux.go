package pgembed

import "syscall"

// memoryDir is a file system in memory, or empty when it has no room: containers have as little as 64 MiB. A database
// is 300 files, which some disks take a third of a second to create, and memory a hundredth.
func memoryDir() string {
	const dir, room = "/dev/shm", 4 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return ""
	}
	return dir
}
