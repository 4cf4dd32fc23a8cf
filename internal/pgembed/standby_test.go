package pgembed_test

import (
	"errors"
	"os"
	"testing"

	"hosho/internal/pgembed"
	"hosho/internal/slow"
)

// A primary dies whose standby had to have each commit. The standby takes over with all of them, the former primary
// comes back as its standby, and the same happens the other way round.
func TestAPromotedStandbyHasWhatWasAcknowledged(t *testing.T) {
	slow.Test(t, "kills real servers")
	t.Parallel()
	primary := start(t, pgembed.Config{Durable: true})
	standby := startStandby(t, primary, pgembed.Config{Durable: true})
	exec(t, connect(t, primary, "postgres"), `CREATE TABLE promise (number int)`)
	for round := 1; round <= 2; round++ {
		if err := primary.Acknowledge(t.Context(), standby); err != nil {
			t.Fatal(err)
		}
		exec(t, connect(t, primary, "postgres"), `INSERT INTO promise VALUES ($1)`, round)
		if !query[bool](t, standby, "postgres", `SELECT pg_is_in_recovery()`) {
			t.Fatal("the standby is a primary before it was promoted")
		}
		url := standby.URL("postgres")
		primary.Kill()
		if err := standby.Promote(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := standby.URL("postgres"); got != url {
			t.Errorf("got URL %s after the promotion, want %s", got, url)
		}
		exec(t, connect(t, standby, "postgres"), `INSERT INTO promise VALUES (1000)`) // nobody has to have it
		got := query[int](t, standby, "postgres", `SELECT count(*)::int FROM promise WHERE number < 1000`)
		if got != round {
			t.Errorf("round %d: got %d commits, want %d", round, got, round)
		}
		if err := primary.Follow(t.Context(), standby); err != nil {
			t.Fatal(err)
		}
		primary, standby = standby, primary
	}
}

// A standby that is away holds up the commits that it must have, and not one more when it is back.
func TestACommitWaitsForItsStandby(t *testing.T) {
	slow.Test(t, "kills real servers")
	t.Parallel()
	config := pgembed.Config{Settings: map[string]string{"synchronous_commit": "on"}}
	primary := start(t, config)
	standby := startStandby(t, primary, config)
	if err := primary.Acknowledge(t.Context(), standby); err != nil {
		t.Fatal(err)
	}
	if err := standby.Crash(); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	writer := connect(t, primary, "postgres")
	go func() {
		_, err := writer.Exec(t.Context(), `CREATE TABLE promise (number int)`)
		written <- err
	}()
	until(t, "the commit waits for the standby", func() bool {
		return query[bool](t, primary, "postgres",
			`SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')`)
	})
	select {
	case err := <-written:
		t.Fatalf("the commit was answered (%v) while its standby was away", err)
	default:
	}
	if err := standby.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err := primary.Acknowledge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := standby.Stop(); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, primary, "postgres"), `INSERT INTO promise VALUES (1)`) // waits for nobody
	if err := standby.Follow(t.Context(), primary); !errors.Is(err, pgembed.ErrNotRunning) {
		t.Errorf("follow after Stop: got %v, want %v", err, pgembed.ErrNotRunning)
	}
	if _, err := os.Stat(standby.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s survived Stop: %v", standby.Dir(), err)
	}
}

func startStandby(t *testing.T, primary *pgembed.Server, config pgembed.Config) *pgembed.Server {
	t.Helper()
	s, err := pgembed.StartStandby(t.Context(), primary, config)
	if err != nil {
		t.Fatal(err)
	}
	stopAfter(t, s)
	return s
}
