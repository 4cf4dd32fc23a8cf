package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/order"
	"hosho/internal/rpc"
)

// Two payments databases.
const (
	rightOne = "01990000-0000-4000-8000-000000000001"
	wrongOne = "01990000-0000-4000-8000-000000000002"
)

// trusting makes a system whose orders trust the right payments database.
func trusting(t *testing.T) (*system, *running) {
	t.Helper()
	s := newSystem(t)
	s.peer.say(introduction{database: rightOne})
	r := s.relay()
	first := s.place()
	s.await(first.ID, order.Completed)
	for _, a := range s.peer.arrived(first.ID, order.Charge) {
		if a.meant != rightOne {
			t.Errorf("got a charge that means payments database %q, want %s", a.meant, rightOne)
		}
	}
	return s, r
}

// restart has the peer come back as one with another database.
func (s *system) restart(i introduction) {
	s.t.Helper()
	s.peer.kill()
	s.peer.say(i)
	s.peer.start()
}

// wantSilence waits until each order's command has been held back for a code, and checks that none was sent.
func (s *system) wantSilence(orders []order.Order, kind order.Command, code string) {
	s.t.Helper()
	for _, o := range orders {
		held := func(r row) bool { return r.LastCode == code }
		r := s.awaitRow(o.ID, kind, "its command is held back for "+code, held)
		if r.Attempts != 0 {
			s.t.Errorf("order %s: got %d attempts spent, want none", o.ID, r.Attempts)
		}
		if got := s.peer.arrived(o.ID, kind); len(got) > 0 {
			s.t.Errorf("order %s: got %v, want nothing sent", o.ID, got)
		}
	}
}

// problemOf is what a relay tells of the payments database.
func (r *running) problem(c relayv1.OutboxServiceClient) relayv1.PaymentsDatabase_Problem {
	r.s.t.Helper()
	reply, err := c.GetBacklog(r.s.t.Context(), &relayv1.GetBacklogRequest{})
	if err != nil {
		r.s.t.Fatal(err)
	}
	return reply.GetPaymentsDatabase().GetProblem()
}

const alarmAnother = "another payments database: nothing is sent"

// A paymentd of another environment is at the target. Its database is empty: each key is free there. 20 orders and 6
// cancellations wait, one person is told once, the relay stays ready; and all of it goes on by itself when the right
// paymentd is back.
func TestAStrangersPaymentdIsSentNothing(t *testing.T) {
	t.Parallel()
	s, r := trusting(t)
	c := r.client()
	s.restart(introduction{database: wrongOne})
	orders := s.placeMany(20)
	var given []order.Order
	for range 6 {
		given = append(given, s.cancelling())
	}
	s.wantSilence(orders, order.Charge, "WRONG_PAYMENTS_DATABASE")
	s.wantSilence(given, order.Void, "WRONG_PAYMENTS_DATABASE")
	if got := len(s.log.lines(alarmAnother)); got != 1 {
		t.Errorf("got %d alarms, want one for all orders", got)
	}
	if got := r.problem(c); got != relayv1.PaymentsDatabase_PROBLEM_ANOTHER {
		t.Errorf("got problem %s, want PROBLEM_ANOTHER", got)
	}
	health, err := healthpb.NewHealthClient(r.conn()).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("got health %v, %v, want SERVING, for an operator", health, err)
	}

	s.restart(introduction{database: rightOne})
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
	if got := r.problem(c); got != relayv1.PaymentsDatabase_PROBLEM_UNSPECIFIED {
		t.Errorf("got problem %s, want none any more", got)
	}
}

// The same for a command that goes alone, by a relay that has just been started.
func TestAStrangersPaymentdIsSentNothingAloneEither(t *testing.T) {
	t.Parallel()
	s, r := trusting(t)
	r.stop()
	s.restart(introduction{database: wrongOne})
	o, given := s.place(), s.cancelling()
	s.suspect()
	s.relay()
	s.wantSilence([]order.Order{o}, order.Charge, "WRONG_PAYMENTS_DATABASE")
	s.wantSilence([]order.Order{given}, order.Void, "WRONG_PAYMENTS_DATABASE")
	s.restart(introduction{database: rightOne})
	s.drained()
}

// Behind one address are two paymentds: the right one was asked, and the stream goes to the other.
func TestTheStreamItselfIsOfTheRightDatabase(t *testing.T) {
	t.Parallel()
	s, _ := trusting(t)
	for _, header := range []string{wrongOne, ""} {
		s.restart(introduction{database: rightOne, only: true, header: header})
		s.wantSilence([]order.Order{s.place()}, order.Charge, "WRONG_PAYMENTS_DATABASE")
	}
	s.restart(introduction{database: rightOne})
	s.drained()
}

// The database behind a running paymentd becomes another one. Its streams are as before; it refuses what is sent, and
// the relay asks who it is.
func TestADatabaseThatIsSwappedUnderAPaymentdIsNoticed(t *testing.T) {
	t.Parallel()
	s, _ := trusting(t)
	s.peer.say(introduction{database: wrongOne})
	o := s.place()
	eventually(t, "somebody is told", func() bool { return len(s.log.lines(alarmAnother)) == 1 })
	if got, _ := s.row(o.ID, order.Charge); got.LastCode != "WRONG_PAYMENTS_DATABASE" || got.Attempts != 0 {
		t.Errorf("got %+v, want WRONG_PAYMENTS_DATABASE, and no attempt spent", got)
	}
	s.peer.say(introduction{database: rightOne})
	s.drained()
	s.await(o.ID, order.Completed)
}

// Nobody is sent anything: the relay hears of it all the same.
func TestAnIdleRelayIsToldOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.exec(`INSERT INTO payments_database (id) VALUES ($1)`, rightOne)
	s.peer.say(introduction{database: wrongOne})
	r := s.relay()
	c := r.client()
	eventually(t, "it is told", func() bool { return r.problem(c) == relayv1.PaymentsDatabase_PROBLEM_ANOTHER })
}

// Why another payments database is trusted is read by others, who must not read what nobody wrote.
func TestAcceptPaymentsDatabaseRefuses(t *testing.T) {
	t.Parallel()
	client := newSystem(t).relay().client()
	for _, reason := range []string{"", "moved\r\naccepted by ada", "\x1b[2J", "99\u202e", "\ufeff"} {
		_, err := client.AcceptPaymentsDatabase(t.Context(), &relayv1.AcceptPaymentsDatabaseRequest{
			PaymentsDatabase: rightOne, Reason: reason, Operator: "ada",
		})
		refused(t, err, codes.InvalidArgument, "INVALID_FIELDS", "reason")
	}
}

// A payments database is moved on purpose: an operator accepts the new one by its name, once, and is remembered.
func TestAnOperatorAcceptsAnotherPaymentsDatabase(t *testing.T) {
	t.Parallel()
	s, r := trusting(t)
	c := r.client()
	accept := func(id string) (*relayv1.AcceptPaymentsDatabaseResponse, error) {
		return c.AcceptPaymentsDatabase(t.Context(), &relayv1.AcceptPaymentsDatabaseRequest{
			PaymentsDatabase: id, Reason: "moved to new hardware", Operator: "ada",
		})
	}
	refused := func(id string) {
		t.Helper()
		_, err := accept(id)
		if status.Code(err) != codes.FailedPrecondition || rpc.Reason(err) != "NOT_THAT_PAYMENTS_DATABASE" {
			t.Errorf("accept %s: got %v, want FAILED_PRECONDITION, NOT_THAT_PAYMENTS_DATABASE", id, err)
		}
	}
	refused(wrongOne) // nobody has it
	if _, err := accept(rightOne); err != nil {
		t.Errorf("accept what is trusted already: %v", err)
	}
	s.restart(introduction{database: wrongOne})
	o := s.place()
	s.wantSilence([]order.Order{o}, order.Charge, "WRONG_PAYMENTS_DATABASE")
	refused("01990000-0000-4000-8000-000000000003") // not the one that is there
	if got, err := accept(wrongOne); err != nil || got.GetPrevious() != rightOne {
		t.Errorf("accept: got %v, %v, want that %s was before", got, err, rightOne)
	}
	s.await(o.ID, order.Completed)
	if got, err := accept(wrongOne); err != nil || got.GetPrevious() != "" {
		t.Errorf("accept again: got %v, %v, want no change", got, err)
	}
	if n := s.count(`
		SELECT count(*) FROM payments_database_audit
		WHERE from_id = $1 AND to_id = $2 AND operator = 'ada' AND reason = 'moved to new hardware'`,
		rightOne, wrongOne); n != 1 {
		t.Errorf("got %d rows in the audit, want one", n)
	}
	s.peer.kill()
	if _, err := accept(wrongOne); err != nil { // a repeat, while paymentd is away
		t.Errorf("accept again, paymentd being away: %v", err)
	}
	refused(rightOne)
}

// A paymentd of an earlier release does not say which database it has. While the orders trust none it may have any;
// afterwards it must be upgraded first.
func TestAPaymentdThatTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.relay()
	first := s.place()
	s.await(first.ID, order.Completed)
	if got := len(s.log.lines("paymentd does not tell its payments database: any is trusted")); got != 1 {
		t.Errorf("got it logged %d times, want once", got)
	}
	s.restart(introduction{database: rightOne}) // it is upgraded
	second := s.place()
	s.await(second.ID, order.Completed)
	if n := s.count(`SELECT count(*) FROM payments_database WHERE id = $1`, rightOne); n != 1 {
		t.Errorf("got %d rows that trust %s, want one", n, rightOne)
	}
	s.restart(introduction{}) // and taken back
	third := s.place()
	s.wantSilence([]order.Order{third}, order.Charge, "WRONG_PAYMENTS_DATABASE")
	if got := len(s.log.lines("paymentd does not tell its payments database: nothing is sent")); got != 1 {
		t.Errorf("got %d alarms, want one", got)
	}
	s.restart(introduction{database: rightOne})
	s.await(third.ID, order.Completed)
}

// Two relays of one orders database meet two paymentds: the first that is met is trusted, by both.
func TestTheFirstPaymentsDatabaseIsTrustedByEveryRelay(t *testing.T) {
	t.Parallel()
	s, _ := trusting(t)
	for _, told := range []string{wrongOne, rightOne} {
		found, err := s.store.Trust(t.Context(), told)
		if err != nil || found.Trusted == nil || *found.Trusted != rightOne {
			t.Errorf("told %s: got %v, %v trusted, want %s", told, found.Trusted, err, rightOne)
		}
	}
}

const alarmClocks = "the databases' clocks differ"

// The clock of the payments database is an hour ahead: it would decline every charge as expired. None is sent while its
// order has time; voids are; and when the clock is right again all is paid.
func TestAChargeIsNotSentToAClockThatIsPastItsDeadline(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.peer.say(introduction{database: rightOne, ahead: time.Hour})
	r := s.relay()
	orders, given := s.placeMany(5), s.cancelling()
	s.await(given.ID, order.Cancelled)
	s.wantSilence(orders, order.Charge, "CLOCK_AHEAD")
	lines := s.log.lines(alarmClocks)
	if len(lines) != 1 {
		t.Fatalf("got alarms %v, want one", lines)
	}
	ahead, err := time.ParseDuration(lines[0]["payments_ahead"])
	if err != nil || ahead.Round(time.Minute) != time.Hour {
		t.Errorf("got payments_ahead %s, want about an hour", lines[0]["payments_ahead"])
	}
	if got := r.problem(r.client()); got != relayv1.PaymentsDatabase_PROBLEM_CLOCK {
		t.Errorf("got problem %s, want PROBLEM_CLOCK", got)
	}
	if n := s.count(`SELECT count(*) FROM attempts WHERE code = 'CLOCK_AHEAD' AND rpc IS NOT NULL`); n != 0 {
		t.Errorf("got %d attempts that name an RPC, want none: nothing was sent", n)
	}
	s.suspect() // alone, too
	s.hurry()
	s.wantSilence(orders, order.Charge, "CLOCK_AHEAD")
	s.peer.say(introduction{database: rightOne})
	s.drained()
	for _, o := range orders {
		s.await(o.ID, order.Completed)
	}
}

// A difference that no charge fails of is told, and harms nothing: so many seconds ahead, or any time behind.
func TestClocksThatDifferAreTold(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{10 * time.Second, -10 * time.Second, -time.Hour} {
		s := newSystem(t)
		s.peer.say(introduction{database: rightOne, ahead: ahead})
		s.relay()
		s.await(s.place().ID, order.Completed)
		eventually(t, "somebody is told", func() bool { return len(s.log.lines(alarmClocks)) == 1 })
	}
}

// The clock is set an hour ahead while a stream is open. What was under way is answered; the answer shows it, and what
// comes later is not sent.
func TestAClockThatIsSetAheadIsNoticedByTheNextAnswer(t *testing.T) {
	t.Parallel()
	s, _ := trusting(t)
	s.peer.say(introduction{database: rightOne, ahead: time.Hour})
	s.await(s.place().ID, order.Completed) // the script of a kind peer: it was decided a moment before
	eventually(t, "somebody is told", func() bool { return len(s.log.lines(alarmClocks)) == 1 })
	s.wantSilence([]order.Order{s.place()}, order.Charge, "CLOCK_AHEAD")
}

// What is wrong with the payments database is an alarm as often as the log tells it: when it is new, and now and then.
func TestWhatIsWrongWithThePaymentsDatabaseIsAnAlarm(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	trust := &trust{alarms: newAlarms(registry), log: slog.New(slog.DiscardHandler)}
	right := verdict{told: rightOne, trusted: rightOne, at: time.Now()}
	wrong, silent, ahead := right, right, right
	wrong.told, wrong.problem = wrongOne, another
	silent.told, silent.problem = "", untold
	ahead.ahead, ahead.problem = time.Minute, clock
	for _, v := range []verdict{right, wrong, wrong, right, wrong, silent, silent, right, ahead, ahead, right} {
		trust.tell(t.Context(), v)
	}
	trust.tell(t.Context(), ahead)
	trust.alarm = time.Now().Add(-alarmInterval)
	trust.tell(t.Context(), ahead)
	want := map[string]float64{stranger.word: 2, unidentified.word: 1, clocksDiffer.word: 3}
	for _, c := range causes() {
		if got := moved(t, registry, "hosho_alarms_total", c.word); got != want[c.word] {
			t.Errorf("%s: got %v alarms, want %v", c.word, got, want[c.word])
		}
	}
}
