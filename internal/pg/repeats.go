package pg

import (
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// wary is for how many batches repeats are reckoned with once there was one.
const wary = 64

// Repeats remembers whether batches that came lately had rows that are there already. Rows are inserted as new ones,
// which is the cheaper way, and in vain if one is not. But what was not answered is repeated, and by many at about the
// same time: one batch in as many is written in vain at most. A wrong guess costs time and nothing else.
type Repeats struct{ left atomic.Int32 }

// Expected reports whether there may be rows that are there already.
func (r *Repeats) Expected() bool { return r.left.Load() > 0 }

// Saw tells of a batch that was looked at for such rows, or failed by one, and whether there was one.
func (r *Repeats) Saw(known bool) {
	if known {
		r.left.Store(wary)
	} else {
		r.left.Add(-1)
	}
}

// Duplicates returns the constraint by which a statement has done nothing, since a row of it is there already (23505,
// unique_violation); "" if that is not why.
func Duplicates(err error) (constraint string) {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" {
		return refused.ConstraintName
	}
	return ""
}
