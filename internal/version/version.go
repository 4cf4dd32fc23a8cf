// Package version says which hosho a program is.
//
// Its promise: what a program prints, and what its server tells those who ask for its health, is one text. A release
// stamps it; any other build is told by its module's version and its commit.
package version

import (
	"runtime/debug"
	"strings"
	"sync"
)

// stamped is the version of a release: go build -ldflags "-X hosho/internal/version.stamped=v1.2.3".
var stamped string

// String returns the version on one line of ASCII, "v1.2.3" or "v1.2.3 0123456789ab": a commit stands beside a module's
// version that does not name it. It is "(devel)" where nobody knows better.
var String = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return of(stamped, info)
})

// commitLength is how much of a commit's name tells it from others; Go's own versions have as much.
const commitLength = 12

func of(stamped string, info *debug.BuildInfo) string {
	if stamped != "" {
		return stamped
	}
	version := info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key != "vcs.revision" {
			continue
		}
		if commit := s.Value[:min(len(s.Value), commitLength)]; !strings.Contains(version, commit) {
			version += " " + commit
		}
	}
	return version
}
