package orderdb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// Filter selects orders. The zero value selects all.
type Filter struct {
	CustomerID string       // empty: everybody's
	Status     order.Status // empty: of any status
}

// What one call of List may cost, however large the tables are and whatever is in them.
const (
	mostLooked = 10_000  // rows of an index that are looked at
	mostHeld   = 1 << 20 // bytes of orders; the last window may exceed it
	window     = 100     // orders that are read at once: those with the longest items are 4 MB
)

// newest is before the first order.
const newest = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// List returns at most limit orders that the filter selects, the newest first: the first of them, or those that follow
// the order afterID in that sequence. Ids are UUIDv7, so the sequence is the one in which orderd accepted them, and
// orders made while somebody pages through it come before the pages, not between them.
//
// It looks at a bounded number of rows, and so may return fewer orders than there are, or none. rest is the afterID by
// which the list goes on, "" when nothing follows.
//
// No index mentions status, which would make each order's changes of status cost an index entry. A customer's orders
// are looked at in orders_by_customer, and others in the primary key. But everybody's unsettled orders are looked for
// in the outbox, where each has its command: a PENDING order without a CHARGE, or a CANCELLING one without a VOID, is
// stranded, and is found by reconcile.
func (s *Store) List(
	ctx context.Context, f Filter, afterID string, limit int,
) (orders []order.Order, rest string, err error) {
	look := s.lookInOrders
	if drives[f.Status] != "" && f.CustomerID == "" {
		look = s.lookInOutbox
	}
	if afterID == "" {
		afterID = newest
	}
	v := view{last: afterID}
	for looked, held := 0, 0; ; {
		v, err = look(ctx, f, v.last, min(window, limit+1-len(orders)), mostLooked-looked)
		if err != nil {
			return nil, "", fmt.Errorf("list orders: %w", err)
		}
		orders, looked, held = append(orders, v.orders...), looked+v.looked, held+sizeOf(v.orders)
		switch {
		case len(orders) > limit:
			return orders[:limit], orders[limit-1].ID, nil
		case v.end:
			return orders, "", nil
		case looked >= mostLooked || held >= mostHeld:
			return orders, v.last, nil
		}
	}
}

// view is what was found in one window.
type view struct {
	orders []order.Order
	looked int    // at how many rows
	last   string // the id of the last of them
	end    bool   // no row follows it
}

// sizeOf returns about as many bytes as orders hold.
func sizeOf(orders []order.Order) (n int) {
	for _, o := range orders {
		n += 200
		for _, item := range o.Items {
			n += len(item.Name) + 10
		}
	}
	return n
}

// lookInOrders looks at the orders after an id, until it has found limit of them or looked at most. The row at which it
// stopped looking is returned as well, whatever its status: the next window begins there.
//
// = ANY($8) says what = would, but that a customer is one value: the rows are in the order of the customer, too. So the
// planner cannot take the primary key for a customer, and read everybody's orders until it has met enough of theirs.
func (s *Store) lookInOrders(ctx context.Context, f Filter, after string, limit, most int) (view, error) {
	which, sequence, args := ``, `id DESC`, append([]any{after, most, f.Status, limit}, paramsOf(s.of)...)
	if f.CustomerID != "" {
		which, sequence = `customer_id = ANY($8) AND`, `customer_id, id DESC`
		args = append(args, []string{f.CustomerID})
	}
	rows, err := pg.QueryInOrder(ctx, s.reads, `
		SELECT `+orderColumns+`, place, wanted
		FROM (
			SELECT `+orderColumns+`, row_number() OVER (ORDER BY `+sequence+`) AS place,
				$3 IN ('', status) AND `+theirs(5)+` AS wanted
			FROM orders
			WHERE `+which+` id < $1
			ORDER BY `+sequence+`
			LIMIT $2
		) AS looked
		WHERE wanted OR place = $2
		ORDER BY `+sequence+`
		LIMIT $4`, args...)
	if err != nil {
		return view{}, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		row
		Place  int
		Wanted bool
	}])
	if err != nil || len(found) == 0 {
		return view{end: true}, err
	}
	v := view{looked: found[len(found)-1].Place, last: found[len(found)-1].ID}
	v.end = len(found) < limit && v.looked < most
	for _, r := range found {
		if r.Wanted {
			v.orders = append(v.orders, r.order())
		}
	}
	return v, nil
}
