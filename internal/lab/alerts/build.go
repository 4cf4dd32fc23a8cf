package alerts

import (
	"context"
	"errors"
	"fmt"

	"hosho/internal/lab/mutant"
	"hosho/internal/lab/stack"
)

// Build builds the daemons, and sagactl beside them, into the folder bin. How long an answer of a database is kept for
// those who scrape is a duration of the rules' world, and is divided as theirs are, in what is built alone. So is how
// long they wait for it: a scrape that is to be over in half a second is not failed by a slow database.
func Build(ctx context.Context, bin string, scale int, flags ...string) error {
	const (
		file   = "internal/scrape/scrape.go"
		kept   = "kept = 10 * time.Second"
		within = "within = time.Second"
		part   = 4 // of a second: half of the least time between two scrapes
	)
	scaled := mutant.Mutant{Name: "scaled", Edits: []mutant.Edit{
		{File: file, Old: kept, New: fmt.Sprintf("%s / %d", kept, scale)},
		{File: file, Old: within, New: fmt.Sprintf("%s / %d", within, min(scale, part))},
	}}
	return errors.Join(scaled.Build(ctx, bin, flags...), stack.BuildCommand(ctx, bin))
}
