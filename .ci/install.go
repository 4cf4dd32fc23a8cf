//go:build ignore

// Command install installs what hosho needs with the machine's package manager, unless internal/pgembed finds it:
// PostgreSQL, or PgBouncer for the tests that put it before the databases.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"hosho/internal/pgembed"
)

// wanted are what can be installed, by the targets of make: how it is found, and the package of each manager.
var wanted = map[string]struct {
	name     string
	find     func() (string, error)
	packages map[string]string
}{
	"postgres": {"PostgreSQL", pgembed.Find, map[string]string{
		"apt-get": "postgresql", "dnf": "postgresql-server", "apk": "postgresql", "brew": "postgresql@17",
	}},
	"pgbouncer": {"PgBouncer", pgembed.FindPooler, map[string]string{
		"apt-get": "pgbouncer", "dnf": "pgbouncer", "apk": "pgbouncer", "brew": "pgbouncer",
	}},
}

// managers are the package managers known, and what each is asked before the package's name.
var managers = []struct {
	program  string
	asRoot   bool
	commands []string
}{
	{"apt-get", true, []string{
		"apt-get update -qq",
		"env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ",
	}},
	{"dnf", true, []string{"dnf install -y "}},
	{"apk", true, []string{"apk add "}},
	{"brew", false, []string{"brew install "}},
}

func main() {
	target := "postgres"
	if len(os.Args) > 1 {
		target = os.Args[1]
	}
	what, known := wanted[target]
	if !known {
		fmt.Fprintf(os.Stderr, "install: got %q, want postgres or pgbouncer\n", target)
		os.Exit(1)
	}
	_, missing := what.find()
	if missing == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "make %s: no %s that hosho can use is on this machine\n", target, what.name)
	if err := install(target, what.packages); err != nil {
		fmt.Fprintf(os.Stderr, "make %s: %v\n%v\n", target, err, missing)
		os.Exit(1)
	}
	found, err := what.find()
	if err != nil {
		fmt.Fprintf(os.Stderr, "make %s: what the package manager has is not enough: %v\n", target, err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "make %s: installed, %s\n", target, found)
}

func install(target string, packages map[string]string) error {
	for _, m := range managers {
		if _, err := exec.LookPath(m.program); err != nil {
			continue
		}
		for _, command := range m.commands {
			if strings.HasSuffix(command, " ") {
				command += packages[m.program]
			}
			if m.asRoot && os.Getuid() != 0 {
				command = "sudo " + command
			}
			fmt.Fprintf(os.Stderr, "make %s: %s\n", target, command)
			words := strings.Fields(command)
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stderr, os.Stderr // sudo may ask for a password
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
		return nil
	}
	return fmt.Errorf("found none of the package managers apt-get, dnf, apk and brew")
}
