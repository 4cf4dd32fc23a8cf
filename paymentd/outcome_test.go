package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "hosho/gen/events/v1"
	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
	"hosho/internal/pg"
)

// Each reason that paymentd gives is published or kept quiet as its class in doc/rules.md says: what is no order's
// fault (B+) is not published. Two are about a caller's own time, and an event has no caller.
func TestARefusalIsPublishedWhereItsClassSaysThatItIsAboutTheOrder(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../doc/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| reason | code | class |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	ofCallers := []string{"DEADLINE_PASSED", "CALL_CANCELLED"}
	word := regexp.MustCompile(`\b[A-Z_]{2,}\b`)
	c := &consumer{server: &server{fitness: newFitness()}}
	a := &answer{command: &command{kind: kindCharge, heard: &heard{}}, err: errors.New("no")}
	found := 0
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		code := codeNamed(t, strings.Trim(cells[2], " `"))
		class, _, _ := strings.Cut(strings.TrimSpace(cells[3]), ",")
		for _, reason := range word.FindAllString(cells[1], -1) {
			want := class != "B+" && !slices.Contains(ofCallers, reason)
			said, _ := c.saidOf(a, &paymentv1.PaymentError{Code: int32(code), Reason: reason})
			if got := said != nil; got != want {
				t.Errorf("%s, %s, class %s: got published %v, want %v", reason, code, class, got, want)
			}
			found++
		}
	}
	if found != len(reasons) { // without NOT_ALLOWED, and with NOT_READY
		t.Errorf("doc/rules.md: got %d reasons, want %d", found, len(reasons))
	}
}

func codeNamed(t *testing.T, name string) (code codes.Code) {
	t.Helper()
	if err := code.UnmarshalJSON(fmt.Appendf(nil, "%q", name)); err != nil {
		t.Fatal(err)
	}
	return code
}

// Each status has an event of its own, with the facts of the payment and the time of the status.
func TestEachStatusHasItsEvent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	names := map[string]payment.Status{}
	for _, status := range payment.Statuses {
		if status == payment.None {
			continue
		}
		p := payment.Payment{
			ID: newID(), CustomerID: "c-1", AmountMinor: 500, Currency: "JPY", Status: status,
			CreatedAt: at.Add(-time.Hour), UpdatedAt: at,
		}
		m := outcomeOf(&p).ProtoReflect()
		facts := m.Interface().(interface {
			GetPaymentId() string
			GetCustomerId() string
			GetAmount() *moneyv1.Money
		})
		if facts.GetPaymentId() != p.ID || facts.GetCustomerId() != p.CustomerID ||
			!proto.Equal(facts.GetAmount(), yen(500)) {
			t.Errorf("%s: got %v, want the facts of %+v", status, m, p)
		}
		fields := m.Descriptor().Fields()
		last := m.Get(fields.Get(fields.Len() - 1)).Message().Interface()
		if got, ok := last.(*timestamppb.Timestamp); !ok || !got.AsTime().Equal(at) {
			t.Errorf("%s: got it at %v, want %v", status, last, at)
		}
		names[string(m.Descriptor().Name())] = status
	}
	if len(names) != 4 {
		t.Errorf("got events %v, want 4", names)
	}
}

// While readiness says no, and for a moment after a command has found the database away, nothing is fetched. What is
// one order's own trouble holds up nobody.
func TestNothingIsFetchedWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	f := newFitness()
	answer := errors.New("no")
	ready := f.remember(func(context.Context) error { return answer })
	wants := func(what string, want bool) {
		t.Helper()
		if err := f.check(t.Context()); (err == nil) != want {
			t.Errorf("%s: got %v, want fetched: %v", what, err, want)
		}
	}
	_ = ready(t.Context()) // it is remembered
	wants("not ready", false)
	answer = nil
	_ = ready(t.Context()) // it is nil
	wants("ready", true)
	f.note(pg.ErrCommitUnknown)
	f.note(errReplyLost)
	wants("an order's own trouble", true)
	f.note(pg.ErrUnanswered)
	wants("the database is away", false)
	f.until = time.Now()
	wants("a moment later", true)
}

// The sends of a charge and of a void are counted each by itself: a broker must not take the answer to the one for that
// to the other.
func TestTheAnswersToBothCommandsOfAnOrderAreNoDuplicates(t *testing.T) {
	t.Parallel()
	send := func(c command, m proto.Message) int32 {
		c.heard = &heard{}
		c.heard.Send = 3
		return letterOf(&answer{command: &c}, m).Send
	}
	charge := send(command{kind: kindCharge}, &eventsv1.PaymentVoided{})
	void := send(command{kind: kindVoid}, &eventsv1.PaymentVoided{})
	if charge == void {
		t.Errorf("got send %d for both", charge)
	}
}
