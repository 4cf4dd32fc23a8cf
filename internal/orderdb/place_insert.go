package orderdb

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// wanting is an order to be placed, as the database takes it.
type wanting struct {
	new         *NewOrder
	id          pgtype.UUID
	requestHash data // nil without a request id
	items       json.RawMessage
	payload     data    // of the CHARGE, but for its deadline
	placed      *Placed // what became of it
	answered    bool    // it is known what did
}

func (w *wanting) answer(p Placed) { *w.placed, w.answered = p, true }

// unanswered returns those of which it is not known yet what became of them.
func unanswered(wanted []*wanting) (left []*wanting) {
	for _, w := range wanted {
		if !w.answered {
			left = append(left, w)
		}
	}
	return left
}

// inOrder returns the orders in the order in which they are written, which is the same for everybody: whoever writes
// the same request ids at the same time waits for another, and never in a circle. One that cannot be encoded is
// refused, and left out.
func (s *Store) inOrder(news []NewOrder, placed []Placed) []*wanting {
	all, wanted := make([]wanting, len(news)), make([]*wanting, 0, len(news))
	for i := range news {
		w := &all[i]
		w.new, w.placed = &news[i], &placed[i]
		if err := s.encodeAll(w); err != nil {
			refuse([]*wanting{w}, err)
			continue
		}
		wanted = append(wanted, w)
	}
	slices.SortFunc(wanted, func(a, b *wanting) int {
		if c := strings.Compare(a.new.CustomerID, b.new.CustomerID); c != 0 {
			return c
		}
		if c := strings.Compare(a.new.RequestID, b.new.RequestID); c != 0 {
			return c
		}
		return bytes.Compare(a.id.Bytes[:], b.id.Bytes[:])
	})
	return wanted
}

func (s *Store) encodeAll(w *wanting) (err error) {
	n := w.new
	if w.id, err = idOf(n.ID); err != nil {
		return err
	}
	if n.RequestID != "" {
		w.requestHash = order.Fingerprint(n.CustomerID, n.Currency, n.Items)
	}
	if w.items, err = json.Marshal(n.Items); err != nil {
		return err
	}
	w.payload, err = s.encode(order.Charge, order.Order{
		ID: n.ID, CustomerID: n.CustomerID, Items: n.Items, AmountMinor: n.AmountMinor, Currency: n.Currency,
		Status: order.Pending,
	})
	return err
}

// insertSQL writes new orders with their commands: all of them, or none.
//
// UNIQUE (customer_id, request_id) decides who was first with a request, and the primary key keeps an order that is
// sent twice from being written twice, also without a request id. It waits for a concurrent transaction that wrote the
// same; if that one rolls back, this one writes. NULLs never conflict. There is no ON CONFLICT: it looks for each order
// twice beforehand and writes it in two steps, which is a sixth of all that a new order costs, while repeats are rare.
//
// How long it waits is set for this transaction only, along with reading the clock, of which all that is written
// depends. The orders of a statement have one deadline, and are created at one moment, the statement's, as the columns'
// defaults say. Both are the database's: what the commands must carry of them is added to the payload here, as notAfter
// says.
//
// unnest in the list of a SELECT gives the rows in the order of the arrays, and needs no copy of them. The relays are
// told by the transaction itself, unless they cannot be.
var insertSQL = `
	WITH moment AS MATERIALIZED (
		SELECT statement_timestamp() AS now, statement_timestamp() + $8::interval AS deadline_at,
			(date_part('epoch', statement_timestamp() + $8::interval) * 1000000)::bigint AS micros,
			set_config('lock_timeout', $11, true) AS waits
	), terms AS MATERIALIZED (
		SELECT now, deadline_at, ` + notAfter + ` AS not_after FROM moment
	), written AS (
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bytea[]), unnest($5::jsonb[]),
			unnest($6::bigint[]), unnest($7::text[]), deadline_at
		FROM terms
	), commands AS (
		SELECT unnest($1::uuid[]) AS key, '` + string(order.Charge) + `' AS kind,
			unnest($9::bytea[]) || not_after AS payload, deadline_at AS expires, unnest($10::text[]) AS traceparent
		FROM terms
	), taker AS MATERIALIZED (` + Outbox.TakerOf() + `
	), appended AS (` + Outbox.AppendFrom("commands", "taker") + `
	)
	SELECT now, deadline_at,
		CASE WHEN $12 THEN ` + Outbox.TellingOf("taker", "cardinality($1::uuid[])") + ` END IS NOT NULL
	FROM terms`

// notAfter is deadline_at as the field not_after (4) of a payment.v1.ChargePaymentRequest, a
// google.protobuf.Timestamp. The fields of a message may come in any order, and what is appended to it is part of it:
// so the deadline is the database's, and whoever reads the payload cannot tell it from one that was encoded at once.
//
// micros is that moment since the epoch: a double, in which microseconds are exact until 2106. It is a column, since
// each of the ten terms would work it out anew, and an operator costs a lone order half a microsecond before it is
// evaluated.
var notAfter = `'\x220c08'::bytea || ` + varint("micros / 1000000") + `
				|| '\x10'::bytea || ` + varint("micros % 1000000 * 1000")

// varint is a number below 1 << 35 as protobuf's varint of five bytes, seven bits in each and the lowest first; all but
// the last have their highest bit set. The seconds need five bytes from 1978 to 3058, and a varint may be longer than
// it must be.
func varint(number string) string {
	n := `(` + number + `)`
	return `substring(int8send(551911718912 + ((` + n + ` & 127) << 32) + ((` + n + ` & 16256) << 17)
					+ ((` + n + ` & 2080768) << 2) + ((` + n + ` & 266338304) >> 13) + (` + n + ` >> 28)) FROM 4)`
}

// insert writes orders that have the same deadline, each with another request id: all of them, or none.
func (s *Store) insert(ctx context.Context, wanted []*wanting, waits time.Duration) error {
	args := append(columnsOf(wanted), fmt.Sprintf("%dms", waits.Milliseconds()))
	type born struct {
		At, DeadlineAt time.Time
		Told           bool // the relays are
	}
	var written []born
	err := heard(func(tell bool) (err error) {
		written, err = pg.WriteOnce(ctx, s.pool, pgx.RowToStructByPos[born], insertSQL, append(args, tell)...)
		return err
	})
	if err != nil {
		return err
	}
	at := written[0]
	for _, w := range wanted {
		n := w.new
		w.answer(Placed{Fresh: true, Order: order.Order{
			ID: n.ID, CustomerID: n.CustomerID, Items: n.Items, AmountMinor: n.AmountMinor, Currency: n.Currency,
			Status: order.Pending, CreatedAt: at.At, UpdatedAt: at.At, DeadlineAt: at.DeadlineAt,
		}})
	}
	return nil
}

// columnsOf returns the first arguments of insertSQL.
func columnsOf(w []*wanting) []any {
	return []any{
		ids(w), customers(w), requestIDs(w), requestHashes(w), itemLists(w), amounts(w), currencies(w),
		w[0].new.Deadline, payloads(w), traceparents(w),
	}
}
