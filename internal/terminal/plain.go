package terminal

import (
	"fmt"
	"io"
	"text/tabwriter"

	"hosho/internal/plain"
)

// sprintf is fmt.Sprintf with arguments that are plain.
func sprintf(format string, args ...any) string {
	if false {
		_ = fmt.Sprintf(format, args...) // so that vet checks the calls
	}
	shown := make([]any, len(args))
	for i, arg := range args {
		shown[i] = shownPlain{arg}
	}
	return fmt.Sprintf(format, shown...)
}

// shownPlain is formatted as its value is, and then so that it is plain.
type shownPlain struct{ value any }

// Format is called by fmt.
func (s shownPlain) Format(state fmt.State, verb rune) {
	text := fmt.Sprintf(fmt.FormatString(state, verb), s.value)
	_, _ = io.WriteString(state, plain.Text(text)) // fmt's own, which does not fail
}

// Table makes columns of rows. It prints them when it is flushed.
type Table struct{ rows *tabwriter.Writer }

// Table returns a table that has no row yet. The flags are those of package tabwriter.
func (t *Terminal) Table(flags uint) Table { return Table{tabwriter.NewWriter(t, 0, 0, 2, ' ', flags)} }

// Row adds a row. The format has a tab after each cell; the arguments are plain.
func (t Table) Row(format string, args ...any) {
	_, _ = io.WriteString(t.rows, sprintf(format+"\n", args...)) // the terminal remembers
}

// Flush prints the rows.
func (t Table) Flush() { _ = t.rows.Flush() } // the terminal remembers
