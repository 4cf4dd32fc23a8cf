// Command lint is a tool of `go vet`, with what neither vet nor staticcheck looks at: errors that nobody looks at,
// errors that are compared as if nobody had wrapped them, how lines of the log are written, and long lines. `make lint`
// builds and runs it. golangci-lint has all of these, too; but it takes two minutes to build, and this some seconds.
//
// It is a module of its own, so that the project does not depend on what it needs. What it finds has to be mended, or
// is excepted here, with the reason.
package main

import (
	"codeberg.org/polyfloyd/go-errorlint/errorlint"
	"github.com/kisielk/errcheck/errcheck"
	"go-simpler.org/sloglint"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	errcheck.DefaultExcludedSymbols = append(errcheck.DefaultExcludedSymbols, mayFail...)
	unitchecker.Main(errcheck.Analyzer, errorlint.NewAnalyzer(), sloglint.New(logLines), longLines)
}

// mayFail is what may fail without anybody looking.
var mayFail = []string{
	// The last thing that is done with something that was read, or with a connection whose work is done. What was
	// written to a file and must be there is closed by hand.
	"(*os.File).Close",
	"(io.Closer).Close",
	"(net.Listener).Close",
	"(net.Conn).Close",
	"(*net.TCPListener).Close",
	"(*net.conn).Close", // of all its connections
	"(*net.TCPConn).CloseWrite",
	"(*net.TCPConn).SetLinger",
	"(*hosho/internal/lab/proxy.Proxy).Close",
	"(*database/sql.DB).Close",
	"(*net/http.Server).Close",
	"(*github.com/jackc/pgx/v5.Conn).Close",
	"(*google.golang.org/grpc.ClientConn).Close",
	// After a commit it fails always, and without one the transaction is over in any case.
	"(github.com/jackc/pgx/v5.Tx).Rollback",
	// Temporary files: what is left is no failure of what was done.
	"os.RemoveAll",
	// They fail when the process has ended, which is what was wanted.
	"(*os.Process).Signal",
	"(*os.Process).Kill",
	"syscall.Kill",
	// It returns when the server was stopped. rpc.Serve looks at it for the daemons; the others are peers in tests.
	"(*google.golang.org/grpc.Server).Serve",
	// These say so in the end: a table when it is flushed, a terminal by Err.
	"fmt.Fprintf(*text/tabwriter.Writer)",
	"fmt.Fprintln(*text/tabwriter.Writer)",
	"fmt.Fprintf(*hosho/internal/terminal.Terminal)",
	// It never fails.
	"(*math/rand/v2.ChaCha8).Read",
}

// logLines is how lines of the log are written: looked up by their text and keys, which therefore never vary.
var logLines = &sloglint.Options{
	NoMixedArguments: true,
	NoGlobalLogger:   "all", // a logger is handed on, with what it says about where it is
	StaticMessage:    true,
	MessageStyle:     "lowercased",
	KeyNamingCase:    "snake",
	ForbiddenKeys:    []string{"time", "level", "msg", "source"}, // the log's own
}
