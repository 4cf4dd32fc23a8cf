package orderdb

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"hosho/internal/order"
	"hosho/internal/pg"
)

// placeTries is how often orders are sent whose COMMIT is not answered, before their callers are told.
const placeTries = 3

// wanting is an order to be placed, as the database takes it.
type wanting struct {
	new         *NewOrder
	id          pgtype.UUID
	requestID   *string // nil for none, with its hash: in the database absent is NULL
	requestHash []byte
	items       json.RawMessage
	payload     []byte  // of the CHARGE, but for its deadline
	placed      *Placed // what became of it
}

// born is what the database gave a new order.
type born struct {
	ID         pgtype.UUID
	CreatedAt  time.Time
	UpdatedAt  time.Time
	DeadlineAt time.Time
}

func toBorn(r pgx.CollectableRow) (b born, err error) {
	err = r.Scan(&b.ID, &b.CreatedAt, &b.UpdatedAt, &b.DeadlineAt)
	return b, err
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
		return cmp.Or(
			cmp.Compare(a.new.CustomerID, b.new.CustomerID), cmp.Compare(a.new.RequestID, b.new.RequestID),
			bytes.Compare(a.id.Bytes[:], b.id.Bytes[:]),
		)
	})
	return wanted
}

func (s *Store) encodeAll(w *wanting) (err error) {
	n := w.new
	if w.id, err = idOf(n.ID); err != nil {
		return err
	}
	if n.RequestID != "" {
		w.requestID, w.requestHash = &n.RequestID, order.Fingerprint(n.CustomerID, n.Currency, n.Items)
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

// insertSQL writes orders with their commands, and returns those that it wrote.
//
// ON CONFLICT has no target: UNIQUE (customer_id, request_id) decides who was first with a request, and the primary key
// keeps an order that is sent twice from being written twice, also without a request id. It waits for a concurrent
// transaction that wrote the same; if that one rolls back, this one writes. NULLs never conflict. How long it waits is
// set for this transaction only, along with reading the clock, of which all that is written depends.
//
// What the commands must carry and only the database knows, the deadline by its clock, is added to the payload here, as
// notAfter says.
var insertSQL = `
	WITH moment AS MATERIALIZED (
		SELECT clock_timestamp() AS now, set_config('lock_timeout', $11, true) AS waits
	), given AS MATERIALIZED (
		SELECT n.*, moment.now + n.open AS deadline_at
		FROM moment, unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::jsonb[], $6::bigint[], $7::text[],
				$8::interval[], $9::bytea[], $10::text[]) WITH ORDINALITY
			AS n (id, customer_id, request_id, request_hash, items, amount_minor, currency, open, payload, traceparent,
				place)
	), written AS (
		INSERT INTO orders (id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at)
		SELECT id, customer_id, request_id, request_hash, items, amount_minor, currency, deadline_at
		FROM given
		ORDER BY place
		ON CONFLICT DO NOTHING
		RETURNING id, created_at, updated_at, deadline_at
	), commands AS (
		SELECT given.id AS key, '` + string(order.Charge) + `' AS kind, given.payload || ` + notAfter + ` AS payload,
			written.deadline_at AS expires, given.traceparent
		FROM written JOIN given USING (id)
	), appended AS (` + Outbox.AppendFrom("commands") + `
	)
	SELECT id, created_at, updated_at, deadline_at FROM written`

// notAfter is written.deadline_at as the field not_after (4) of a payment.v1.ChargePaymentRequest, a
// google.protobuf.Timestamp. The fields of a message may come in any order, and what is appended to it is part of it:
// so the deadline is the database's, and whoever reads the payload cannot tell it from one that was encoded at once.
// The epoch is a double, in which microseconds are exact until 2106.
var notAfter = `(
			SELECT '\x220c08'::bytea || ` + varint("micros / 1000000") + `
				|| '\x10'::bytea || ` + varint("micros % 1000000 * 1000") + `
			FROM (SELECT (date_part('epoch', written.deadline_at) * 1000000)::bigint AS micros) AS t)`

// varint is a number below 1 << 35 as protobuf's varint of five bytes, seven bits in each and the lowest first; all but
// the last have their highest bit set. The seconds need five bytes from 1978 to 3058, and a varint may be longer than
// it must be.
func varint(number string) string {
	n := `(` + number + `)`
	return `substring(int8send(551911718912 + ((` + n + ` & 127) << 32) + ((` + n + ` & 16256) << 17)
					+ ((` + n + ` & 2080768) << 2) + ((` + n + ` & 266338304) >> 13) + (` + n + ` >> 28)) FROM 4)`
}

// insert writes what can be, and returns it. What is missing stands in the way of itself.
func (s *Store) insert(ctx context.Context, wanted []*wanting, waits time.Duration) (written []born, err error) {
	args := append(columnsOf(wanted), fmt.Sprintf("%dms", waits.Milliseconds()))
	var unknown error
	for range placeTries {
		written, err = pg.WriteOnce(ctx, s.pool, toBorn, insertSQL, args...)
		switch {
		case err == nil:
			return written, nil
		case errors.Is(err, pg.ErrCommitUnknown) && !errors.Is(err, pg.ErrNotReplicated) && ctx.Err() == nil:
			unknown = err
		case unknown != nil: // what went wrong now says nothing of what was sent before
			return nil, fmt.Errorf("%w, and when it was sent again: %w", unknown, err)
		default:
			return nil, err
		}
	}
	return nil, unknown
}

// columnsOf returns the first arguments of insertSQL.
func columnsOf(wanted []*wanting) []any {
	var (
		ids          = make([]pgtype.UUID, len(wanted))
		customers    = make([]string, len(wanted))
		requestIDs   = make([]*string, len(wanted))
		hashes       = make([][]byte, len(wanted))
		items        = make([]json.RawMessage, len(wanted))
		amounts      = make([]int64, len(wanted))
		currencies   = make([]string, len(wanted))
		open         = make([]time.Duration, len(wanted))
		payloads     = make([][]byte, len(wanted))
		traceparents = make([]*string, len(wanted))
	)
	for i, w := range wanted {
		n := w.new
		ids[i], customers[i], requestIDs[i], hashes[i] = w.id, n.CustomerID, w.requestID, w.requestHash
		items[i], amounts[i], currencies[i], open[i] = w.items, n.AmountMinor, n.Currency, n.Deadline
		payloads[i] = w.payload
		if n.Traceparent != "" {
			traceparents[i] = &n.Traceparent
		}
	}
	return []any{ids, customers, requestIDs, hashes, items, amounts, currencies, open, payloads, traceparents}
}
