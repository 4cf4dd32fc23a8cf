package paymentdb

import (
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// wary is how many batches of charges are inserted past known keys once there was one. Charges are repeated after a
// failure, many of them at about the same time: one statement in as many is written in vain at most.
const wary = 64

// repeats remembers whether keys of charges that came lately were known. A wrong guess costs time and nothing else.
type repeats struct{ left atomic.Int32 }

// expected reports whether known keys are to be reckoned with.
func (r *repeats) expected() bool { return r.left.Load() > 0 }

// saw tells of a batch that was inserted past known keys, and whether there was one.
func (r *repeats) saw(known bool) {
	if known {
		r.left.Store(wary)
	} else {
		r.left.Add(-1)
	}
}

// isKnown reports whether a statement has done nothing because of a key that is known.
func isKnown(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "23505" && refused.ConstraintName == "payments_pkey"
}
