// Package paymentdb is the payment service's SQL: what is decided under each payment key, and the ledger.
//
// Its promise: the first command that commits under a key decides, whoever comes later is told what is stored, and
// money moves in the ledger in the same transaction as the payment. What to write is asked of internal/payment, never
// decided here. What the card network says is brought by the caller, and never asked for while a transaction is open.
// paymentd is its only user, and nobody else writes these tables. The rules that it keeps are in doc/rules.md.
//
// Charge, Void and Lookup may be told by its identity which database is meant: where this is another one they return
// ErrWrongDatabase.
//
// Locks are taken by ascending key, and new keys before stored ones, so that batches which overlap wait for each other
// and never deadlock.
package paymentdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
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
	pool  *pgxpool.Pool
	reads *pgxpool.Pool // what clients read goes over it
}

// New makes a Store on the payments database.
func New(pool *pgxpool.Pool) *Store {
	return &Store{pool: pool, reads: pool}
}

// NewOver makes a Store whose writes and reads have pools of their own.
func NewOver(pools *pg.Pools) *Store {
	return &Store{pool: pools.Writes, reads: pools.Reads}
}

// Result is what became of one command of a batch.
type Result struct {
	Payment payment.Payment // what is decided under the key
	Err     error           // ErrKeyReused or ErrNotFound, and no Payment
}

// Lookup returns for each request, in their order, what is decided under its key: ErrNotFound when nothing is,
// ErrKeyReused when it was decided for something else.
func (s *Store) Lookup(ctx context.Context, requests []payment.Request, meant ...string) ([]Result, error) {
	var stored []payment.Payment
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		stored, err = collectFrom(ctx, tx, meant, readQuery, keys(requests))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up %d payments: %w", len(requests), err)
	}
	return results(requests, byKey(stored)), nil
}

// results returns for each request what is stored under its key.
func results(requests []payment.Request, stored map[string]payment.Payment) []Result {
	out := make([]Result, len(requests))
	for i, r := range requests {
		switch p, ok := stored[r.ID]; {
		case !ok:
			out[i] = Result{Err: ErrNotFound}
		case !p.Matches(r):
			out[i] = Result{Err: ErrKeyReused}
		default:
			out[i] = Result{Payment: p}
		}
	}
	return out
}

func keys(requests []payment.Request) []string {
	ids := make([]string, len(requests))
	for i, r := range requests {
		ids[i] = r.ID
	}
	return ids
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

func collect(rows pgx.Rows, err error) ([]payment.Payment, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (payment.Payment, error) {
		got, err := pgx.RowToStructByName[row](r)
		return got.payment(), err
	})
}

// readQuery reads the payments that are stored under the keys.
const readQuery = `SELECT ` + columns + ` FROM payments WHERE id = ANY($1)`

func byKey(payments []payment.Payment) map[string]payment.Payment {
	found := make(map[string]payment.Payment, len(payments))
	for _, p := range payments {
		found[p.ID] = p
	}
	return found
}
