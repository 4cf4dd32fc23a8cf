package alerts

import (
	"context"
	"errors"
	"fmt"

	"hosho/internal/lab/mutant"
	"hosho/internal/lab/stack"
)

// Build builds the daemons, and sagactl beside them, into the folder bin. How long an answer of a database is kept for
// those who scrape is a duration of the rules' world, and is divided as theirs are, in what is built alone.
func Build(ctx context.Context, bin string, scale int, flags ...string) error {
	const kept = "kept = 10 * time.Second"
	scaled := mutant.Mutant{Name: "scaled", Edits: []mutant.Edit{{
		File: "internal/scrape/scrape.go", Old: kept, New: fmt.Sprintf("%s / %d", kept, scale),
	}}}
	return errors.Join(scaled.Build(ctx, bin, flags...), stack.BuildCommand(ctx, bin))
}
