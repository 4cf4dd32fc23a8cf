//go:build ignore

// Command postgres installs PostgreSQL with the machine's package manager, unless internal/pgembed finds one.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"hosho/internal/pgembed"
)

// managers are the package managers known, and what each is asked.
var managers = []struct {
	program  string
	asRoot   bool
	commands []string
}{
	{"apt-get", true, []string{
		"apt-get update -qq",
		"env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql",
	}},
	{"dnf", true, []string{"dnf install -y postgresql-server"}},
	{"apk", true, []string{"apk add postgresql"}},
	{"brew", false, []string{"brew install postgresql@17"}},
}

func main() {
	_, missing := pgembed.Find()
	if missing == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "make postgres: none that hosho can use is on this machine")
	if err := install(); err != nil {
		fmt.Fprintf(os.Stderr, "make postgres: %v\n%v\n", err, missing)
		os.Exit(1)
	}
	bin, err := pgembed.Find()
	if err != nil {
		fmt.Fprintf(os.Stderr, "make postgres: what the package manager has is not enough: %v\n", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "make postgres: installed,", bin)
}

func install() error {
	for _, m := range managers {
		if _, err := exec.LookPath(m.program); err != nil {
			continue
		}
		for _, command := range m.commands {
			if m.asRoot && os.Getuid() != 0 {
				command = "sudo " + command
			}
			fmt.Fprintln(os.Stderr, "make postgres:", command)
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
