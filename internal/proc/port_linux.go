package proc

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// promisePort gives a port to this process until the promise is closed, or the process has ended: a name that only one
// may have, in the network that the port belongs to, and of which no file is left.
func promisePort(port int) (io.Closer, error) {
	return net.Listen("unix", fmt.Sprintf("@hosho-port-%d", port))
}

// Listening tells which process listens on a port, as "process 4711 (python3)". It is empty where that cannot be told:
// nobody does, or another user's.
func Listening(port int) string {
	wanted := listeningSockets(port)
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, link := range links {
		socket, err := os.Readlink(link)
		if err != nil || !wanted[socket] {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		name, err := os.ReadFile(filepath.Join(process, "comm")) // no command line, which may bear a password
		if err == nil {
			return fmt.Sprintf("process %s (%s)", filepath.Base(process), strings.TrimSpace(string(name)))
		}
	}
	return ""
}

// listeningSockets returns the sockets that listen on a port, named as the files of processes are.
func listeningSockets(port int) map[string]bool {
	const local, state, inode, listening = 1, 3, 9, "0A"
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			words := strings.Fields(lines.Text())
			if len(words) > inode && words[state] == listening &&
				strings.HasSuffix(words[local], fmt.Sprintf(":%04X", port)) {
				sockets["socket:["+words[inode]+"]"] = true
			}
		}
		file.Close()
	}
	return sockets
}
