package main

import (
	"runtime"

	"hosho/internal/terminal"
	"hosho/internal/version"
)

type printVersion struct{}

// Run prints the version of hosho, and that of Go by which it was built, as the daemons do.
func (printVersion) Run(screen *terminal.Terminal) error {
	screen.Line("%s %s", version.String(), runtime.Version())
	return nil
}
