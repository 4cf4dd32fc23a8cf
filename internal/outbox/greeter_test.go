package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// greeter is a Handler that has nothing to do with orders: it greets people. Each has a row in the table greeted, and
// what was settled is decided by a compare-and-set on it.
type greeter struct {
	pool  *pgxpool.Pool
	table Table // of the messages

	// answer is what becomes of delivering a message; nil decides it. It runs in a goroutine of its own.
	answer func(context.Context, Message) Report
	// check is Check; nil lets everything go on.
	check func([]Message) ([]Message, []Report)
	// disturb runs in each transaction of Settle, before anything else; nil does nothing.
	disturb func(context.Context, pgx.Tx, []Report) error

	answering sync.WaitGroup
	mu        sync.Mutex
	sent      [][]Message // what Deliver was called with
	explained []Report
}

// newGreeter makes a greeter and people who were not greeted yet, one a message.
func newGreeter(t testing.TB, db *pgtest.Database) *greeter {
	t.Helper()
	exec(t, db, `
		CREATE TABLE greeted (
			key     uuid    PRIMARY KEY,
			mood    text    NOT NULL DEFAULT 'CURIOUS',
			effects integer NOT NULL DEFAULT 0
		)`)
	g := &greeter{pool: db.Pool, table: greetings}
	t.Cleanup(g.answering.Wait)
	return g
}

// meet puts messages into the outbox, and the people they are to into the table.
func (g *greeter) meet(t testing.TB, db *pgtest.Database, messages ...New) {
	t.Helper()
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		var keys []string
		for _, m := range messages {
			keys = append(keys, m.Key)
		}
		_, err := tx.Exec(ctx, `INSERT INTO greeted (key) SELECT unnest($1::uuid[])`, keys)
		return errors.Join(err, g.table.Append(ctx, tx, messages...))
	})
}

func (g *greeter) Check(_ context.Context, messages []Message) ([]Message, []Report) {
	if g.check != nil {
		return g.check(messages)
	}
	return messages, nil
}

func (g *greeter) Deliver(ctx context.Context, messages []Message, report func(Report)) {
	g.mu.Lock()
	g.sent = append(g.sent, messages)
	g.mu.Unlock()
	for _, m := range messages {
		g.answering.Go(func() {
			r := Report{Result: Decided, Code: "OK"}
			if g.answer != nil {
				r = g.answer(ctx, m)
			}
			r.Message = m
			report(r)
		})
	}
}

// deliveries returns how many messages were handed to the greeter.
func (g *greeter) deliveries() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, batch := range g.sent {
		n += len(batch)
	}
	return n
}

// batch returns what the greeter was handed the nth time.
func (g *greeter) batch(n int) []Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sent[n]
}

func (g *greeter) Explain(r Report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.explained = append(g.explained, r)
}

func (g *greeter) Settle(ctx context.Context, reports []Report) (settled Settled, err error) {
	var handed []Handed
	reports = slices.DeleteFunc(slices.Clone(reports), func(r Report) bool {
		if r.Result == HandedOver {
			handed = append(handed, Handed{Message: r.Message, Delay: r.Delay, Code: r.Code})
		}
		return r.Result == HandedOver
	})
	if err := g.table.HandOver(ctx, g.pool, handed); err != nil {
		return Settled{}, err
	}
	err = pg.InTx(ctx, g.pool, func(tx pgx.Tx) error {
		if g.disturb != nil {
			if err := g.disturb(ctx, tx, reports); err != nil {
				return err
			}
		}
		settled, err = g.settle(ctx, tx, reports)
		return err
	})
	return settled, err
}

func (g *greeter) settle(ctx context.Context, tx pgx.Tx, reports []Report) (settled Settled, err error) {
	present, err := g.lock(ctx, tx, reports)
	if err != nil {
		return Settled{}, err
	}
	var happy, forgotten []string
	var gone []int64
	var retries []Retry
	var rude []Message
	for _, r := range reports {
		switch m := r.Message; {
		case !present[m.Key]:
			settled.Later = append(settled.Later, r)
		case r.Result == Decided:
			happy, gone = append(happy, m.Key), append(gone, m.ID)
		case r.Result == Expired:
			forgotten, gone = append(forgotten, m.Key), append(gone, m.ID)
		case r.Result == Conflict:
			rude = append(rude, m)
		default:
			retries = append(retries, Retry{
				Message: m, Delay: r.Delay, Code: r.Code, Spends: r.Result == Ambiguous, Answered: !r.Lost,
				Forgives: m.Alone && r.Hung,
			})
		}
	}
	settled.More = len(retries) > 0
	return settled, errors.Join(
		become(ctx, tx, happy, "HAPPY"), become(ctx, tx, forgotten, "FORGOTTEN"), g.table.Remove(ctx, tx, gone),
		g.table.Reschedule(ctx, tx, retries), g.table.Park(ctx, tx, parked("RUDE", rude...)))
}

// parked is messages that are to be parked for a code.
func parked(code string, messages ...Message) []Retry {
	all := make([]Retry, len(messages))
	for i, m := range messages {
		all[i] = Retry{Message: m, Code: code}
	}
	return all
}

func (g *greeter) lock(ctx context.Context, tx pgx.Tx, reports []Report) (map[string]bool, error) {
	var keys []string
	for _, r := range reports {
		keys = append(keys, r.Message.Key)
	}
	found, err := tx.Query(ctx, `
		SELECT key::text
		FROM greeted
		WHERE key = ANY($1::uuid[])
		ORDER BY key
		FOR UPDATE SKIP LOCKED`, keys)
	if err != nil {
		return nil, err
	}
	locked, err := pgx.CollectRows(found, pgx.RowTo[string])
	present := map[string]bool{}
	for _, key := range locked {
		present[key] = true
	}
	return present, err
}

func become(ctx context.Context, tx pgx.Tx, keys []string, mood string) error {
	_, err := tx.Exec(ctx, `
		UPDATE greeted
		SET mood = $2, effects = effects + 1
		WHERE key = ANY($1::uuid[]) AND mood = 'CURIOUS'`, keys, mood)
	return err
}

// people counts those in a mood that one message brought about.
func people(t testing.TB, db *pgtest.Database, mood string) int {
	t.Helper()
	return number(t, db, `SELECT count(*) FROM greeted WHERE mood = $1 AND effects = 1`, mood)
}
