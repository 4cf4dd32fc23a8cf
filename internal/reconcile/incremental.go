package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// base is what an incremental pass starts from: what the pass before knew and left.
type base struct {
	orders, payments watermark
	blocks           int64            // of the table of orders
	lag              time.Duration    // by which ids were seen to be behind the database's clock
	underWay         map[string]bool  // keys
	from             string           // from this key on all was too much to be known; "": nothing was
	findings         map[string]Class // by key
}

// changed compares the keys that may have changed since the base:
//
//   - all keys from that time on: an id begins with the time at which it was made (UUIDv7),
//   - those that were under way, or wrong,
//   - orders that left a status for another than COMPLETED, as the table changes tells: any order may be cancelled,
//   - payments that were refunded, as the ledger tells,
//   - whatever has a command.
//
// So it sees each order that was placed or settled, and each payment that was decided or refunded. The reading is that
// of a whole pass.
func (s *sweep) changed(ctx context.Context, b base, slack time.Duration) (err error) {
	if s.database, err = sameSystem(ctx, s.orders, s.payments); err != nil {
		return err
	}
	first := b.first(slack)
	if err := s.behind(ctx, first); err != nil {
		return err
	}
	if first == nil {
		return s.loneCommands(ctx, nil)
	}
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(b.findings)), s.options.Window) {
		s.rows, s.suspects = 0, append(s.suspects[:0], keys...)
		if err := s.confirm(ctx); err != nil {
			return err
		}
	}
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(b.underWay)), s.options.Window) {
		if err := s.again(ctx, *first, keys); err != nil {
			return err
		}
	}
	for _, table := range []struct {
		pool  *pgxpool.Pool
		query string
		since time.Time
	}{{s.orders, changesAfter, b.orders.since}, {s.payments, refundsAfter, b.payments.since}} {
		if err := s.told(ctx, *first, table.pool, table.query, table.since.Add(-slack)); err != nil {
			return err
		}
	}
	return s.loneCommands(ctx, func(ctx context.Context, keys []string) error {
		return s.again(ctx, *first, slices.DeleteFunc(keys, func(id string) bool { return b.underWay[id] }))
	})
}

// first returns the key behind which everything is compared, nil for all.
func (b base) first(slack time.Duration) *string {
	since := b.orders.since
	if b.payments.since.Before(since) {
		since = b.payments.since
	}
	key, all := keyAt(since.Add(-slack - b.lag))
	if all {
		return nil
	}
	if b.from != "" && b.from < key {
		key = madeWith(b.from[:13])
	}
	return &key
}

// madeWith returns the first key that begins with a time.
func madeWith(time string) string { return time + "-0000-0000-000000000000" }

// keyAt returns a key that is before all that were made at a time or later; all, when every key is that.
func keyAt(t time.Time) (key string, all bool) {
	made := t.UnixMilli()
	if made <= 0 {
		return "", true
	}
	return madeWith(fmt.Sprintf("%08x-%04x", made>>16, made&0xffff)), false
}

// told compares the keys that a table tells of since a time.
func (s *sweep) told(ctx context.Context, first string, pool *pgxpool.Pool, query string, since time.Time) error {
	after := telling{At: since, Key: noKey}
	for more := true; more; {
		told, err := tellingAfter(ctx, pool, query, after, first, s.options.Window)
		if err != nil {
			return err
		}
		if more = len(told) == s.options.Window; more {
			after = told[len(told)-1]
		}
		keys := make([]string, len(told))
		for i, t := range told {
			keys[i] = t.Key
		}
		if err := s.again(ctx, first, keys); err != nil {
			return err
		}
	}
	return nil
}

// again looks at keys, a window of them at most, but for those that are compared anyway.
func (s *sweep) again(ctx context.Context, first string, keys []string) error {
	keys = slices.DeleteFunc(keys, func(id string) bool { return id > first })
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) == 0 {
		return nil
	}
	orders, err := ordersOf(ctx, s.orders, keys)
	if err != nil {
		return err
	}
	payments, err := paymentsOf(ctx, s.payments, keys)
	if err != nil {
		return err
	}
	s.summary.Orders += int64(len(orders))
	s.summary.Payments += int64(len(payments))
	s.rows = len(orders) + len(payments)
	s.holds(s.rows)
	for _, id := range keys {
		c := orders[id].facts
		c.Payment = payments[id]
		if err := s.look(ctx, id, c); err != nil {
			return err
		}
	}
	return s.confirm(ctx)
}
