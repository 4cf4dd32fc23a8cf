// Package paymentdb is the payment service's SQL: what is decided under each payment key, and the ledger.
//
// Its promise: the first command that commits under a key decides, whoever comes later is told what is stored, and
// money moves in the ledger in the same transaction as the payment. What to write is asked of internal/payment, never
// decided here. What the card network says is brought by the caller, and never asked for while a transaction is open.
// paymentd is its only user, and nobody else writes these tables. The rules that it keeps are in doc/rules.md.
//
// What is new is decided by one statement, which commits by itself; what was there is read, or refunded, after it. A
// call that fails in between is one to repeat: the key is known then.
//
// Charge, Void and Lookup may be told by its identity which database is meant: where this is another one they return
// ErrWrongDatabase, and nothing was written.
//
// Locks are taken by ascending key, and never those of new keys along with those of stored ones, so that batches which
// overlap wait for each other and never deadlock.
package paymentdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/payment"
	"hosho/internal/pg"
)

var (
	// ErrNotFound says that nothing is decided under the key, not that nothing will be.
	ErrNotFound = errors.New("no such payment")
	// ErrKeyReused says that the key was decided for another customer, amount or currency. Nothing was changed.
	ErrKeyReused = errors.New("the payment key was used for another customer, amount or currency")
)

// Store reads and writes payments. Its keys are UUIDs in lower case, as PostgreSQL writes them. Errors keep their
// meaning for pg.Classify.
type Store struct {
	pool     *pgxpool.Pool
	reads    *pgxpool.Pool // what clients read goes over it
	repeats  *pg.Repeats
	lockWait string // how long a lock is waited for, as set_config takes it; "": as long as pg has it
}

// New makes a Store on the payments database.
func New(pool *pgxpool.Pool) *Store {
	return &Store{pool: pool, reads: pool, repeats: &pg.Repeats{}}
}

// NewOver makes a Store whose writes and reads have pools of their own.
func NewOver(pools *pg.Pools) *Store {
	return &Store{pool: pools.Writes, reads: pools.Reads, repeats: &pg.Repeats{}}
}

// Impatient returns a Store that waits no longer than d for each key that somebody else holds. Then nothing of the
// batch was done, and the error is one that pg.Classify calls a Collision: the others may be tried without that key.
func (s *Store) Impatient(d time.Duration) *Store {
	impatient := *s
	impatient.lockWait = fmt.Sprintf("%dms", d.Milliseconds())
	return &impatient
}

// Result is what became of one command of a batch.
type Result struct {
	Payment payment.Payment // what is decided under the key
	New     bool            // it is this command that decided that, or had the payment refunded
	Err     error           // and no Payment: ErrKeyReused, ErrNotFound, or a failure that is this one's alone
}

// Lookup returns for each request, in their order, what is decided under its key: ErrNotFound when nothing is,
// ErrKeyReused when it was decided for something else.
func (s *Store) Lookup(ctx context.Context, requests []payment.Request, meant ...string) ([]Result, error) {
	k, err := newKeyed(requests)
	var found stored
	if err == nil {
		found, err = s.read(ctx, k, k.without(k.nothing()), meant)
	}
	if err != nil {
		return nil, fmt.Errorf("look up %d payments: %w", len(requests), err)
	}
	return k.results(found, ErrNotFound), nil
}

// results returns for each request what is stored under its key, or else the error that says why nothing is known. Of
// the requests of a key, what was decided just now is new to the first alone that it is told.
func (k *keyed) results(known stored, otherwise error) []Result {
	out := make([]Result, len(k.requests))
	for i, by := range k.by {
		switch {
		case !known.known(by):
			out[i].Err = otherwise
		case !known[by].Matches(k.requests[i]):
			out[i].Err = ErrKeyReused
		default:
			out[i].Payment, out[i].New = known[by], k.fresh[by]
			k.fresh[by] = false
		}
	}
	return out
}

// row is a row of payments, as columns lists it.
type row struct {
	ID            string
	CustomerID    string
	AmountMinor   int64
	Currency      string
	Status        payment.Status
	DeclineReason *payment.DeclineReason
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

const columns = `id, customer_id, amount_minor, currency, status, decline_reason, created_at, updated_at`

func (r row) payment() payment.Payment {
	p := payment.Payment{
		ID: r.ID, CustomerID: r.CustomerID, AmountMinor: r.AmountMinor, Currency: r.Currency,
		Status: r.Status, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.DeclineReason != nil {
		p.DeclineReason = *r.DeclineReason
	}
	return p
}
