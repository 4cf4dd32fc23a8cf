package outbox

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hosho/internal/pgtest"
)

// Eight workers claim at the same time until nothing is due, whatever isolation is the database's default. While the
// leases hold, each message is one worker's.
func TestClaimersShareWhatIsDue(t *testing.T) {
	t.Parallel()
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			exec(t, db, `ALTER DATABASE `+db.Pool.Config().ConnConfig.Database+
				` SET default_transaction_isolation = '`+isolation+`'`)
			db.Pool.Reset()
			shareWhatIsDue(t, db)
		})
	}
}

func shareWhatIsDue(t *testing.T, db *pgtest.Database) {
	t.Helper()
	const workers, messages, batch = 8, 600, 7
	put(t, db, hellos(messages)...)
	var all sync.WaitGroup
	begin := make(chan struct{})
	claimed := make(chan Message, workers*messages)
	for range workers {
		all.Go(func() {
			<-begin
			for {
				batch, err := queue(db).Claim(t.Context(), batch, 1)
				if err != nil {
					t.Error(err)
				}
				if len(batch) == 0 {
					return
				}
				for _, m := range batch {
					claimed <- m
				}
			}
		})
	}
	close(begin)
	all.Wait()
	close(claimed)
	times := map[int64]int{}
	for m := range claimed {
		times[m.ID]++
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("message %d was claimed %d times under one lease", id, n)
		}
	}
	if got := len(times); got != messages {
		t.Errorf("claimed %d messages, want all %d", got, messages)
	}
}

// Somebody holds the row that is due the longest. A claim does not wait for them, and does not come back with less than
// there is.
func TestAClaimPassesOverRowsThatAreLocked(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	messages := hellos(3)
	put(t, db, messages...)
	inTx(t, db, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM outbox WHERE key = $1 FOR UPDATE`, messages[0].Key); err != nil {
			return err
		}
		got := keys(claim(t, queue(db), 2, 0))
		want := []string{messages[1].Key, messages[2].Key}
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Errorf("claimed (-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestALeaseThatIsOverIsClaimedAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	first := claimOne(t, queue(db))
	if got := claim(t, queue(db), 10, 1); len(got) != 0 {
		t.Fatalf("claimed %+v while it is leased", got)
	}
	leasesEnd(t, db)
	second := claimOne(t, queue(db))
	if first.ID != second.ID || first.Claims != 1 || second.Claims != 2 {
		t.Errorf("got claims %d of %d and %d of %d, want 1 and 2 of the same",
			first.Claims, first.ID, second.Claims, second.ID)
	}
	if *first.LeaseToken == *second.LeaseToken {
		t.Error("both claims have the same token")
	}
}

func TestALeaseLastsAsLongAsTheQueueSays(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	claimOne(t, NewQueue(db.Pool, greetings, "HELLO", 7*time.Hour))
	n := number(t, db, `
		SELECT count(*)
		FROM outbox
		WHERE leased_until BETWEEN clock_timestamp() + interval '6 hours' AND clock_timestamp() + interval '7 hours'`)
	if n != 1 {
		t.Error("the row is not leased for 7 hours")
	}
}

func TestAYoungerMessageSupersedesTheOlderOneOfItsKey(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare string // done to the younger message
		claimed []string
		left    []string
	}{
		{"due", ``, []string{"GOODBYE"}, []string{"GOODBYE"}},
		{"leased", `UPDATE outbox SET ready_at = 'infinity' WHERE kind = 'GOODBYE'`, nil, []string{"GOODBYE"}},
		{"parked", `UPDATE outbox SET parked_at = clock_timestamp() WHERE kind = 'GOODBYE'`, nil, []string{"GOODBYE"}},
		{
			"somebody else's", `UPDATE outbox SET key = gen_random_uuid() WHERE kind = 'GOODBYE'`,
			[]string{"GOODBYE", "HELLO"},
			[]string{"HELLO", "GOODBYE"},
		},
		{
			"and the older one goes alone", `UPDATE outbox SET claims = 3 WHERE kind = 'HELLO'`,
			[]string{"GOODBYE"},
			[]string{"GOODBYE"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Orders(t)
			m := hello()
			put(t, db, m)
			put(t, db, goodbye(m.Key))
			exec(t, db, test.prepare)
			var got []string
			for _, kind := range []string{"HELLO", "GOODBYE"} {
				for _, m := range claim(t, queueOf(db, kind), 10, 1) {
					got = append(got, m.Kind)
				}
			}
			if diff := cmp.Diff(test.claimed, sorted(got)); diff != "" {
				t.Errorf("claimed (-want +got):\n%s", diff)
			}
			var left []string
			for _, r := range rows(t, db) {
				left = append(left, r.Kind)
			}
			if diff := cmp.Diff(test.left, left); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMessageThatWasClaimedThreeTimesInVainGoesAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(2)...)
	for n := range 3 {
		got := claim(t, queue(db), 10, 0)
		if len(got) != 2 || got[0].Alone || got[1].Alone {
			t.Fatalf("claim %d: got %+v, want both, and not alone", n+1, got)
		}
		leasesEnd(t, db)
	}
	put(t, db, hello())
	if got := claim(t, queue(db), 10, 0); len(got) != 1 || got[0].Alone || got[0].Claims != 1 {
		t.Errorf("got %+v, want the third message only: nobody asked for one to deliver alone", got)
	}
	for range 2 {
		if got := claim(t, queue(db), 10, 1); len(got) != 1 || !got[0].Alone || got[0].Claims != 4 {
			t.Errorf("got %+v, want one to deliver alone, claimed for the fourth time", got)
		}
	}
}

func TestClaimsThatCameToAnAnswerMakeNoMessageGoAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hello())
	exec(t, db, `UPDATE outbox SET claims = 7, answers = 5`)
	if got := claim(t, queue(db), 10, 0); len(got) != 1 || got[0].Alone {
		t.Errorf("got %+v, want the message among others", got)
	}
}

func TestTheLongestDueComesFirst(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	// Without the index, the order in which rows come is none but that which the statement asks for.
	exec(t, db, `
		DO $$
		BEGIN
			EXECUTE format('ALTER DATABASE %I SET enable_indexscan = off', current_database());
			EXECUTE format('ALTER DATABASE %I SET enable_bitmapscan = off', current_database());
		END
		$$`)
	db.Pool.Reset()
	put(t, db, hellos(50)...)
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() - (id * 31 % 50 + 1) * interval '1 second'`)
	rows, err := db.Pool.Query(t.Context(), `SELECT key::text FROM outbox ORDER BY ready_at LIMIT 5`)
	if err != nil {
		t.Fatal(err)
	}
	want, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sorted(want), sorted(keys(claim(t, queue(db), 5, 1)))); diff != "" {
		t.Errorf("claimed (-longest due +got):\n%s", diff)
	}
}

func TestParkedAndWaitingMessagesAreNotClaimed(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(4)...)
	exec(t, db, `UPDATE outbox SET claims = 3 WHERE id % 2 = 0`)
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id <= 2`)
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '1 hour' WHERE id > 2`)
	if got := claim(t, queue(db), 10, 1); len(got) != 0 {
		t.Errorf("claimed %+v, want none", got)
	}
}

// Each message says in its payload what is to be found out about it.
func TestExpiryIsByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	for _, m := range []struct {
		text, set string
	}{
		{"expired, due", `expires_at = clock_timestamp() - interval '1 hour'`},
		{
			"expired, parked",
			`expires_at = clock_timestamp() - interval '2 hours', parked_at = clock_timestamp(), ready_at = 'infinity'`,
		},
		{
			"expired, held",
			`expires_at = clock_timestamp() - interval '1 hour', ready_at = 'infinity',
				lease_token = gen_random_uuid()`,
		},
		{"expires later", `expires_at = clock_timestamp() + interval '1 hour'`},
		{"expires never", `expires_at = NULL`},
	} {
		message := hello()
		message.Payload = []byte(m.text)
		put(t, db, message)
		exec(t, db, `UPDATE outbox SET `+m.set+` WHERE key = $1`, message.Key)
	}
	late := goodbye(uuid.NewString())
	late.ExpiresAt = time.Unix(0, 0)
	put(t, db, late)

	swept, _, err := queue(db).Expired(t.Context(), 10, place{})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range swept {
		texts = append(texts, string(m.Payload))
		if !m.Expired {
			t.Errorf("%s: a sweep found it, and it is not expired", m.Payload)
		}
	}
	if diff := cmp.Diff([]string{"expired, parked", "expired, due"}, texts); diff != "" {
		t.Errorf("swept, the longest expired first and no goodbye (-want +got):\n%s", diff)
	}
	if swept, _, err = queue(db).Expired(t.Context(), 1, place{}); err != nil || len(swept) != 1 {
		t.Errorf("got %d messages, error %v, want no more than asked for", len(swept), err)
	}
	claimed := map[string]bool{}
	for _, m := range claim(t, queue(db), 10, 1) {
		claimed[string(m.Payload)] = m.Expired
	}
	want := map[string]bool{"expired, due": true, "expires later": false, "expires never": false}
	if diff := cmp.Diff(want, claimed); diff != "" {
		t.Errorf("claimed, and whether expired (-want +got):\n%s", diff)
	}
}

func TestNextDue(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	next := func(alone int) (time.Duration, bool) {
		t.Helper()
		d, any, err := queue(db).NextDue(t.Context(), alone, false, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return d, any
	}
	if d, any := next(1); any {
		t.Errorf("empty: got %v, want none", d)
	}
	put(t, db, hello(), hello(), hello())
	put(t, db, goodbye(uuid.NewString())) // of another kind, and always due
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE id = 1`)
	exec(t, db, `UPDATE outbox SET claims = 3 WHERE id = 2`)
	exec(t, db, `UPDATE outbox SET ready_at = clock_timestamp() + interval '1 hour' WHERE id = 3`)
	if d, any := next(1); !any || d > 0 {
		t.Errorf("got %v, %v, want the one that must go alone: it is due", d, any)
	}
	if d, any := next(0); !any || d > time.Hour || d < time.Minute {
		t.Errorf("got %v, %v, want an hour: the one that must go alone does not count", d, any)
	}
	exec(t, db, `UPDATE outbox SET parked_at = clock_timestamp() WHERE kind = 'HELLO'`)
	if d, any := next(1); any {
		t.Errorf("all hellos are parked: got %v, want none", d)
	}
}

func TestReleaseUndoesTheClaim(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	put(t, db, hellos(3)...)
	want := rows(t, db)
	messages := claim(t, queue(db), 10, 1)
	if err := queue(db).Release(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, rows(t, db)); diff != "" {
		t.Errorf("rows (-before the claim +after the release):\n%s", diff)
	}
}

func keys(messages []Message) []string {
	var keys []string
	for _, m := range messages {
		keys = append(keys, m.Key)
	}
	return keys
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
