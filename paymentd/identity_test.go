package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/pgtest"
	"hosho/internal/rpc"
	"hosho/internal/slow"
	"hosho/migrations"
)

// identity is which payments database a paymentd should say that it has.
func (s *system) identity(t *testing.T) string { return identityOf(t, s.db) }

func identityOf(t *testing.T, db *pgtest.Database) (id string) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), `SELECT id::text FROM database_identity`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAStreamSaysWhichDatabaseAndItsClockBeforeItReads(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	header, err := k.Header() // nothing was sent
	if err != nil {
		t.Fatal(err)
	}
	wantIntroduction(t, rpc.ReadIntroduction(header), s)
}

func TestGetDatabaseSaysWhichDatabaseAndItsClock(t *testing.T) {
	t.Parallel()
	s := start(t)
	got, err := s.GetDatabase(t.Context(), &paymentv1.GetDatabaseRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantIntroduction(t, rpc.Introduction{Database: got.GetPaymentsDatabase(), Clock: got.GetClockTime().AsTime()}, s)
}

func wantIntroduction(t *testing.T, got rpc.Introduction, s *system) {
	t.Helper()
	if got.Database != s.identity(t) {
		t.Errorf("got database %q, want %q", got.Database, s.identity(t))
	}
	if ahead := time.Until(got.Clock); ahead > 0 || ahead < -time.Minute {
		t.Errorf("got clock %v, want that of a moment ago", got.Clock)
	}
}

// What means another database is refused on the stream and alone, whatever is wrong with it besides, and nothing is
// written. What means this one, or any, is decided beside it.
func TestACommandForAnotherDatabaseWritesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	const other = "01990000-0000-4000-8000-000000000000"
	refused := map[paymentv1.PaymentResult_Kind][]string{}
	charge := func(amount int64, meant string) *paymentv1.ChargePaymentRequest {
		c := newCharge(amount)
		c.PaymentsDatabase = meant
		if meant != "" && !strings.EqualFold(meant, s.identity(t)) {
			refused[kindCharge] = append(refused[kindCharge], c.GetPaymentId())
		}
		return c
	}
	meant := charge(500, strings.ToUpper(s.identity(t)))
	void := voidOf(newCharge(500))
	void.PaymentsDatabase = other
	refused[kindVoid] = append(refused[kindVoid], void.GetPaymentId())
	stored := newCharge(500)
	s.charge(t, stored)
	again := charge(500, other) // a key that is known here: not looked up either
	again.PaymentId = stored.GetPaymentId()
	refused[kindCharge][len(refused[kindCharge])-1] = stored.GetPaymentId()
	broken := charge(500, other)
	broken.CustomerId = "no id"
	k.send(meant, charge(500, other), charge(501, "nonsense"), void, again, broken, charge(9998, other),
		charge(9997, other), charge(502, ""))

	results := k.receive(9)
	for kind, ids := range refused {
		for _, id := range ids {
			wantResultError(t, find(t, results, kind, id), codes.Unavailable, "WRONG_PAYMENTS_DATABASE")
			want := 0
			if id == stored.GetPaymentId() {
				want = 1
			}
			if n := s.count(t, "payments", id); n != want {
				t.Errorf("%s of %s: got %d payments, want %d", kind, id, n, want)
			}
		}
	}
	wantPayment(t, find(t, results, kindCharge, meant.GetPaymentId()).GetPayment(), meant, charged)
	decided := 0
	for _, r := range results {
		if r.GetPayment() != nil {
			decided++
		}
	}
	if decided != 2 {
		t.Errorf("got %d decided, want what means this database and what means any: %v", decided, results)
	}

	_, err := s.ChargePayment(t.Context(), charge(500, other))
	wantError(t, err, codes.Unavailable, "WRONG_PAYMENTS_DATABASE")
	_, err = s.VoidPayment(t.Context(), void)
	wantError(t, err, codes.Unavailable, "WRONG_PAYMENTS_DATABASE")
}

// The database behind a running paymentd becomes another one, as after a failover to a wrong server. Its URL and its
// streams are as before: only the next sessions are with another database.
func TestADatabaseThatIsSwappedIsNoticedByTheNextSession(t *testing.T) {
	slow.Test(t, "makes a second database")
	t.Parallel()
	db := pgtest.Payments(t)
	s := startOn(t, db, db.Pool) // who may use both databases
	meant := s.identity(t)
	k := s.open(t, t.Context())
	other := pgtest.Empty(t)
	if _, err := migrations.Payments.Up(t.Context(), other.URL, nil); err != nil {
		t.Fatal(err)
	}
	if identityOf(t, other) == meant {
		t.Fatal("got the same identity for two databases that were migrated")
	}
	admin := pgtest.Empty(t) // whose sessions may rename the others
	mine, theirs := name(t, s.db), name(t, other)
	swap := func() {
		t.Helper()
		for _, step := range []string{
			`ALTER DATABASE ` + mine + ` RENAME TO ` + mine + `_away`,
			`ALTER DATABASE ` + theirs + ` RENAME TO ` + mine,
			`ALTER DATABASE ` + mine + `_away RENAME TO ` + theirs,
		} {
			awaitRename(t, admin, step, mine, theirs)
		}
	}
	first := newCharge(500)
	first.PaymentsDatabase = meant
	k.send(first)
	wantPayment(t, k.receive(1)[0].GetPayment(), first, charged)

	swap()
	second := newCharge(500)
	second.PaymentsDatabase = meant
	for {
		k.send(second)
		if e := k.receive(1)[0].GetError(); e.GetReason() == "WRONG_PAYMENTS_DATABASE" {
			break
		} else if e.GetReason() != "DATABASE_UNAVAILABLE" { // the old sessions were ended
			t.Fatalf("got %v, want WRONG_PAYMENTS_DATABASE", e)
		}
	}
	if n := s.count(t, "payments", second.GetPaymentId()); n != 0 {
		t.Errorf("got %d payments in the wrong database, want none", n)
	}
	swap()
	for {
		k.send(second)
		r := k.receive(1)[0]
		if r.GetPayment() != nil {
			wantPayment(t, r.GetPayment(), second, charged)
			break
		}
	}
}

func name(t *testing.T, db *pgtest.Database) (n string) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), `SELECT current_database()`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// awaitRename renames a database as soon as nobody is in either: readiness comes back again and again.
func awaitRename(t *testing.T, admin *pgtest.Database, rename string, databases ...string) {
	t.Helper()
	for {
		_, err := admin.Pool.Exec(t.Context(), `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY($1)`, databases)
		if err != nil {
			t.Fatal(err)
		}
		_, err = admin.Pool.Exec(t.Context(), rename)
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "being accessed by other users") {
			t.Fatal(err)
		}
	}
}
