package proxy_test

import (
	"errors"
	"net/url"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/lab/proxy"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
)

// ledger is a table in a database that is reached through a proxy, as the daemons reach theirs.
type ledger struct {
	*proxy.Proxy
	through *pgxpool.Pool
	direct  *pgxpool.Pool
}

func open(t *testing.T) *ledger {
	t.Helper()
	db := pgtest.Empty(t)
	if _, err := db.Pool.Exec(t.Context(), `CREATE TABLE ledger (n integer PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.ListenPostgres(address.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	address.Host = p.Address()
	pool, err := pg.Open(t.Context(), pg.Config{URL: address.String(), Application: "ledger"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &ledger{p, pool, db.Pool}
}

// enter writes a number into the ledger, in a transaction through the proxy.
func (l *ledger) enter(t *testing.T, n int) error {
	t.Helper()
	return pg.InTx(t.Context(), l.through, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO ledger VALUES ($1)`, n)
		return err
	})
}

// holds reports whether the ledger has a number. It first writes the number itself, which waits for a transaction that
// has written it and not ended.
func (l *ledger) holds(t *testing.T, n int) bool {
	t.Helper()
	tag, err := l.direct.Exec(t.Context(), `INSERT INTO ledger VALUES ($1) ON CONFLICT DO NOTHING`, n)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected() == 0
}

func (l *ledger) wantCuts(t *testing.T, wantBefore, wantAfter int64) {
	t.Helper()
	if before, after := l.Cuts(); before != wantBefore || after != wantAfter {
		t.Errorf("got %d cuts before and %d after, want %d and %d", before, after, wantBefore, wantAfter)
	}
}

func TestACommitThatIsCutAfterItIsDoneIsUnknownAndDone(t *testing.T) {
	t.Parallel()
	l := open(t)
	if err := l.enter(t, 1); err != nil { // leaves an open connection, which is cut later
		t.Fatal(err)
	}
	l.wantCuts(t, 0, 0)
	l.Set(proxy.Link{CutAfterCommit: 1})
	if err := l.enter(t, 2); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got %v, want %v", err, pg.ErrCommitUnknown)
	}
	l.wantCuts(t, 0, 1)
	if !l.holds(t, 2) {
		t.Error("the commit was cut after it was done, and is not done")
	}
	l.Set(proxy.Link{})
	if err := l.enter(t, 3); err != nil {
		t.Errorf("after the link has healed: %v", err)
	}
}

func TestACommitThatIsCutBeforeItArrivesIsUnknownAndNotDone(t *testing.T) {
	t.Parallel()
	l := open(t)
	l.Set(proxy.Link{CutBeforeCommit: 1})
	if err := l.enter(t, 1); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got %v, want %v", err, pg.ErrCommitUnknown)
	}
	l.wantCuts(t, 1, 0)
	if l.holds(t, 1) {
		t.Error("the commit was cut before it arrived, and is done")
	}
}

// A COMMIT that the database refuses is cut like one that it carries out: the client hears of neither.
func TestARefusalIsNotHeardWhenItIsCut(t *testing.T) {
	t.Parallel()
	l := open(t)
	const late = `ALTER TABLE ledger ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED, DROP CONSTRAINT ledger_pkey`
	if _, err := l.direct.Exec(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if err := l.enter(t, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.enter(t, 1); err == nil || errors.Is(err, pg.ErrCommitUnknown) {
		t.Fatalf("got %v, want a refusal", err)
	}
	l.Set(proxy.Link{CutAfterCommit: 1})
	if err := l.enter(t, 1); !errors.Is(err, pg.ErrCommitUnknown) {
		t.Errorf("got %v, want %v", err, pg.ErrCommitUnknown)
	}
	l.wantCuts(t, 0, 1)
}

// Some commits are cut before, some after, some not. What is acknowledged is there, what is counted as cut after is
// there, and what is counted as cut before is not. The same seed cuts the same ones again.
func TestEachCommitIsCutAsItIsCounted(t *testing.T) {
	t.Parallel()
	const commits = 30
	l := open(t)
	round := func(first int) (fates []string) {
		l.Set(proxy.Link{CutBeforeCommit: 0.3, CutAfterCommit: 0.3, Seed: 7})
		for n := first; n < first+commits; n++ {
			beforeOld, afterOld := l.Cuts()
			err := l.enter(t, n)
			before, after := l.Cuts()
			fate := "acknowledged"
			switch {
			case before > beforeOld:
				fate = "cut before"
			case after > afterOld:
				fate = "cut after"
			}
			if (fate == "acknowledged") != (err == nil) {
				t.Errorf("%s: got %v", fate, err)
			}
			if got, want := l.holds(t, n), fate != "cut before"; got != want {
				t.Errorf("%s: done is %t, want %t", fate, got, want)
			}
			fates = append(fates, fate)
		}
		return fates
	}
	first := round(0)
	if again := round(commits); !slices.Equal(first, again) {
		t.Errorf("the same seed made it\n%v, then\n%v", first, again)
	}
	for _, fate := range []string{"acknowledged", "cut before", "cut after"} {
		if !slices.Contains(first, fate) {
			t.Errorf("none of %d commits was %s", commits, fate)
		}
	}
}

// What is no PostgreSQL may say what it likes.
func TestAPlainProxyCutsNothing(t *testing.T) {
	t.Parallel()
	const words = "\x00\x00\x00\x08\x00\x03\x00\x00" + "Q\x00\x00\x00\x0bcommit\x00"
	l := listen(t)
	l.Set(proxy.Link{CutBeforeCommit: 1})
	client, server := l.connect(t)
	say(t, client, words)
	hear(t, server, words)
	say(t, server, "Z\x00\x00\x00\x05I")
	hear(t, client, "Z\x00\x00\x00\x05I")
}
