package orderdb_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// together are n new orders as clients make them that come together: their ids follow one another in one millisecond.
func together(n int) []orderdb.NewOrder {
	news, id := make([]orderdb.NewOrder, n), uuid.Must(uuid.NewV7())
	for i := range news {
		binary.BigEndian.PutUint16(id[14:], uint16(i))
		news[i] = newOrder()
		news[i].ID = id.String()
	}
	return news
}

// apart are n new orders as they come now and then, before this moment and after.
func apart(n int) []orderdb.NewOrder {
	news, now := make([]orderdb.NewOrder, n), time.Now().UnixMilli()
	for i := range news {
		id := uuid.Must(uuid.NewV7())
		binary.BigEndian.PutUint64(id[:], uint64(now+int64(i-n/2)*1000)<<16|uint64(binary.BigEndian.Uint16(id[6:])))
		news[i] = newOrder()
		news[i].ID = id.String()
	}
	return news
}

// seenOf are orders of which it was seen that they were placed.
func seenOf(news []orderdb.NewOrder) (seen []orderdb.Seen) {
	for _, n := range news {
		seen = append(seen, orderdb.Seen{ID: n.ID, Status: order.Pending})
	}
	return seen
}

// nearby is how many orders these tests settle: enough of them for the statement that settles all or none.
const nearby = 60

// charged places orders, claims their charges, and returns that these were taken, in the order of the orders.
func charged(t testing.TB, db *pgtest.Database, news ...orderdb.NewOrder) []orderdb.Finding {
	t.Helper()
	placeAll(t, orderdb.New(db.Pool, command.Encode), news...)
	findings := make([]orderdb.Finding, len(news))
	for _, m := range claimAll(t, db.Pool, time.Hour, 1000, 1) {
		i := slices.IndexFunc(news, func(n orderdb.NewOrder) bool { return n.ID == m.Key })
		if i < 0 {
			t.Fatalf("claimed a command of %s, which is another order", m.Key)
		}
		findings[i] = atOnce(order.PaymentCharged, m)
	}
	return findings
}

// everyOther returns each second one, from the first on.
func everyOther[T any](all []T) (some []T) {
	for i := 0; i < len(all); i += 2 {
		some = append(some, all[i])
	}
	return some
}

// standing tells of each order its status, and the kinds of its commands.
func standing(t testing.TB, db *pgtest.Database) map[string]string {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `
		SELECT o.id::text, concat_ws(' ', o.status, string_agg(c.kind, ' ' ORDER BY c.kind))
		FROM orders AS o
		LEFT JOIN outbox AS c ON c.key = o.id
		GROUP BY o.id`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	var id, what string
	_, err = pgx.ForEachRow(rows, []any{&id, &what}, func() error {
		all[id] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Orders that were placed together are found with one look into an index, whatever was planned for: tables that were
// empty. Those that were not are looked up, so that nobody reads what lies between them.
func TestWhatWasPlacedTogetherIsReadTogether(t *testing.T) {
	t.Parallel()
	db := knownEmpty(t)
	const batch = 60
	s, plans := planned(t, db)
	for range 10 {
		near, far := together(batch), apart(batch) // which has the others in its midst
		findings := charged(t, db, append(near, far...)...)
		plans()
		for i, news := range [][]orderdb.NewOrder{far, near} {
			told(t, s.Progress, seenOf(news))
			wantRead(t, plans(), batch, i, 0)
			apply(t, s, findings[(1-i)*batch:][:batch]...)
			wantRead(t, plans(), 3*batch, 2*i, i) // found, found again and changed
		}
	}
}

// wantRead wants few rows to be looked at, so many ranges to be read, and each array to be parted once.
func wantRead(t *testing.T, plans []plan, most float64, ofOrders, ofOutbox int) {
	t.Helper()
	wantBounded(t, most, plans, "ranges: %d and %d", ofOrders, ofOutbox)
	var orders, outbox, again float64
	for _, p := range plans {
		orders, outbox, again = orders+p.ranges("orders"), outbox+p.ranges("outbox"), max(again, p.parted())
	}
	if orders != float64(ofOrders) || outbox != float64(ofOutbox) || again > 1 {
		t.Errorf("got %v ranges of orders and %v of outbox read, arrays parted %v times; want %d, %d and once",
			orders, outbox, again, ofOrders, ofOutbox)
	}
}

// parted returns how often a node of a plan has parted arrays that has done so most often.
func (p plan) parted() (n float64) {
	if p.Node == "ProjectSet" {
		n = p.Loops
	}
	for _, child := range p.Plans {
		n = max(n, child.parted())
	}
	return n
}
