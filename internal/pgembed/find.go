package pgembed

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// oldest is the first major version with CREATE DATABASE ... STRATEGY, which internal/pgtest uses.
const oldest = 15

// Find returns the directory with PostgreSQL's programs: from PATH, then from where Debian and Homebrew install them,
// the newest first. When there is none its error says how to install one.
func Find() (string, error) {
	return find(filepath.SplitList(os.Getenv("PATH")), []string{
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
	})
}

func find(path, patterns []string) (string, error) {
	installed := onPath(path)
	for _, pattern := range patterns {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		found := make([]programs, 0, len(dirs))
		for _, dir := range dirs {
			found = appendPrograms(found, dir)
		}
		slices.SortStableFunc(found, func(a, b programs) int { return cmp.Compare(b.version, a.version) })
		installed = append(installed, found...)
	}
	tooOld := ""
	for _, p := range installed {
		if p.version >= oldest {
			return p.dir, nil
		}
		tooOld = fmt.Sprintf("PostgreSQL %d in %s is too old; ", p.version, p.dir)
	}
	return "", errors.New(tooOld + howToInstall())
}

func howToInstall() string {
	command := "apt-get install -y postgresql"
	if runtime.GOOS == "darwin" {
		command = "brew install postgresql@17"
	}
	return fmt.Sprintf("no PostgreSQL of version %d or newer found: install it with `%s`, or let `make test` or "+
		"`make demo` do it", oldest, command)
}

// programs is a directory with initdb and postgres, and their major version.
type programs struct {
	dir     string
	version int
}

// onPath follows links to the directory where all of PostgreSQL's programs are, for often only some are linked.
func onPath(path []string) []programs {
	var found []programs
	for _, dir := range path {
		if !filepath.IsAbs(dir) {
			continue // it would mean another directory to each program
		}
		if target, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			dir = filepath.Dir(target)
		}
		found = appendPrograms(found, dir)
	}
	return found
}

// appendPrograms adds the directory when PostgreSQL's programs are there and run.
func appendPrograms(found []programs, dir string) []programs {
	postgres := filepath.Join(dir, "postgres")
	for _, program := range []string{postgres, filepath.Join(dir, "initdb")} {
		if _, err := exec.LookPath(program); err != nil {
			return found
		}
	}
	out, err := exec.Command(postgres, "--version").Output()
	if err != nil {
		return found
	}
	match := versionForm.FindSubmatch(out)
	if match == nil {
		return found
	}
	version, err := strconv.Atoi(string(match[1]))
	if err != nil {
		return found
	}
	return append(found, programs{dir, version})
}

// versionForm reads "postgres (PostgreSQL) 15.14 (Debian 15.14-0)" and "postgres (PostgreSQL) 19devel".
var versionForm = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)
