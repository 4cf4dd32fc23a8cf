package stack

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Built is a variable of the environment: the folder in which `make test` has built the programs of a source tree, for
// all tests that build them. They are in a folder for each set of flags; tree leads to the source.
//
// To compile is nothing there, since the go command remembers. But it links anew each time, which is six seconds of CPU
// time for the daemons, and some twenty times.
const Built = "HOSHO_BUILT"

// variants are the folders of Built by the flags of go build.
var variants = map[string]string{"": "plain", "-tags failpoints": "failpoints"}

// takeBuilt copies programs into the folder bin that were built from the tree already, with the same flags. It reports
// whether there were any.
func takeBuilt(root, bin string, programs, flags []string) (taken bool, err error) {
	built := os.Getenv(Built)
	variant := variants[strings.Join(flags, " ")]
	if built == "" || variant == "" || !same(filepath.Join(built, "tree"), root) {
		return false, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return false, err
	}
	for _, program := range programs {
		if err := copyProgram(filepath.Join(built, variant, program), filepath.Join(bin, program)); err != nil {
			return false, err
		}
	}
	return true, nil
}

// same reports whether two names are one folder's.
func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// copyProgram leaves what may run under the name alone, as go build does.
func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.Remove(to); err != nil && !os.IsNotExist(err) {
		return err
	}
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}
