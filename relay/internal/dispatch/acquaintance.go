package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/wait"
)

// Told is what paymentd tells of its database before anything is sent to it.
type Told struct {
	Database string  // its identity; empty: a paymentd of an earlier release, which tells nothing
	Clock    Reading // of its clock
}

// Trust judges what paymentd tells. Commands are sent only where it returns no error: an ErrStranger, or one of the
// database that it had to ask. It also reads the clock by which the orders' deadlines are kept.
type Trust func(ctx context.Context, told Told) (orders Reading, err error)

// ErrStranger says that paymentd has another payments database than the one that the orders trust.
var ErrStranger = errors.New("paymentd has another payments database than the orders trust")

// Reading is what a clock said.
type Reading struct {
	Said   time.Time
	At     time.Time     // by this process's clock, halfway between asking and hearing
	Within time.Duration // how far off that may be: half of the time that it took
}

// Read returns a reading of a clock that was asked and answered at these times of this process's.
func Read(said, asked, heard time.Time) Reading {
	half := heard.Sub(asked) / 2
	return Reading{Said: said, At: asked.Add(half), Within: half}
}

// at returns the earliest time that the clock can show now.
func (r Reading) at(now time.Time) time.Time { return r.Said.Add(now.Sub(r.At) - r.Within) }

// Ahead returns how far a clock is ahead of another, at least; negative, how far it is behind, at least. Within what
// the readings may be off it is nothing.
func (r Reading) Ahead(other Reading) time.Duration {
	ahead, unsure := r.Said.Sub(other.Said)-r.At.Sub(other.At), r.Within+other.Within
	switch {
	case ahead > unsure:
		return ahead - unsure
	case ahead < -unsure:
		return ahead + unsure
	}
	return 0
}

// known is a paymentd that is trusted.
type known struct {
	Told

	orders Reading // of the orders database's clock
}

// expires reports whether paymentd's clock would call a charge expired now, though its order's own clock does not: then
// it is only wrong about the time, and would decline for ever what is still wanted.
func (k *known) expires(charge *paymentv1.ChargePaymentRequest, now time.Time) bool {
	if charge.GetNotAfter() == nil || k.Clock.Said.IsZero() {
		return false
	}
	end := charge.GetNotAfter().AsTime()
	return k.Clock.at(now).After(end) && !k.orders.at(now).After(end)
}

// jumped reports whether a payment was written at a time that the clock, as it is known, cannot have shown yet.
func (k *known) jumped(p *paymentv1.Payment, now time.Time) bool {
	if p.GetUpdateTime() == nil || k.Clock.Said.IsZero() {
		return false
	}
	return p.GetUpdateTime().AsTime().Sub(k.Clock.at(now)) > ClockTolerance+2*k.Clock.Within
}

// agrees reports whether nobody has to be told of the clocks.
func (k *known) agrees() bool {
	return k.Clock.Said.IsZero() || k.Clock.Ahead(k.orders).Abs() <= ClockTolerance
}

const (
	// ClockTolerance is how far the clocks of the two databases may differ before somebody is told.
	ClockTolerance = 5 * time.Second
	// askInterval is how often paymentd is asked again: it may be another one by now, and clocks drift and are set.
	askInterval = 15 * time.Second
	// restInterval is that interval while all is well and nothing is sent.
	restInterval = 2 * time.Minute
	// askPause keeps commands that cannot be sent from asking for each of them.
	askPause = time.Second
)

// acquaintance is who paymentd is. It is asked before anything is sent, and again when there is a doubt.
type acquaintance struct {
	client   paymentv1.PaymentServiceClient
	trust    Trust
	patience time.Duration   // what the answer may take
	ctx      context.Context // ends with the Dispatcher
	doubt    wait.Bell       // rings when paymentd should be asked again

	mu      sync.Mutex
	inquiry *inquiry  // nil when paymentd is not being asked
	known   *known    // nil: not trusted, or not asked yet
	asked   time.Time // when it was asked last, whether it has answered or not
	judged  time.Time
	err     error     // the ErrStranger that it was found to be when it was judged
	served  time.Time // when what it has served was sent, over whatever carrier: the latest of that
}

// inquiry is a question to paymentd, who it is. One asks, and the others hear what came of it.
type inquiry struct {
	done  chan struct{}
	known *known
	err   error
}

// serves notes that a command was served that was sent at a time.
func (a *acquaintance) serves(sent time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if sent.After(a.served) {
		a.served = sent
	}
}

// silenceSince returns what the silence of a call of its own means: its connection is well, or it would have broken.
func (a *acquaintance) silenceSince(sent time.Time) silence {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.served.Before(sent) {
		return inOutage
	}
	return ofOne
}

// current is latest for whoever sends. After a rest it may be old, and is asked anew; what is sent first does not wait
// for that.
func (a *acquaintance) current() *known {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.asked) > askInterval {
		a.doubt.Ring()
	}
	return a.known
}

// latest returns who paymentd was when it was asked last, nil when it is not known or not trusted.
func (a *acquaintance) latest() *known {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known
}

// forget has paymentd asked anew, at once and before anything more is sent.
func (a *acquaintance) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.err, a.judged = nil, nil, time.Time{}
	a.doubt.Ring()
}

// ask asks paymentd who it is and what its clock says, unless that was done a moment ago. The question outlives the
// caller's time: the answer may take longer, and is there for who asks next. One that does not answer stays who it was:
// its commands fail by themselves.
func (a *acquaintance) ask(ctx context.Context) (*known, error) {
	i := a.inquire()
	select {
	case <-i.done:
		return i.known, i.err
	case <-ctx.Done():
		return nil, errSilentPeer
	}
}

// inquire returns what was found within askPause, or has paymentd asked.
func (a *acquaintance) inquire() *inquiry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.judged) < askPause {
		i := &inquiry{done: make(chan struct{}), known: a.known, err: a.err}
		close(i.done)
		return i
	}
	if a.inquiry == nil {
		i := &inquiry{done: make(chan struct{})}
		a.inquiry, a.asked = i, time.Now()
		go func() {
			defer close(i.done)
			i.known, i.err = a.find()
		}()
	}
	return a.inquiry
}

// find asks, and notes what came of it.
func (a *acquaintance) find() (*known, error) {
	k, err := a.judge()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inquiry = nil
	if err == nil || errors.Is(err, ErrStranger) {
		a.known, a.err, a.judged = k, err, time.Now()
	}
	return k, err
}

func (a *acquaintance) judge() (*known, error) {
	ctx, cancel := context.WithTimeout(a.ctx, a.patience)
	defer cancel()
	told, err := a.meet(ctx)
	if err != nil {
		return nil, err
	}
	orders, err := a.trust(ctx, told)
	switch {
	case errors.Is(err, ErrStranger):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnjudged, err)
	}
	return &known{Told: told, orders: orders}, nil
}

// meet has paymentd introduce itself. One of an earlier release has no such method, and has told nothing.
func (a *acquaintance) meet(ctx context.Context) (Told, error) {
	asked := time.Now()
	reply, err := a.client.GetDatabase(ctx, &paymentv1.GetDatabaseRequest{})
	switch {
	case isUnimplemented(err):
		return Told{}, nil
	case ctx.Err() != nil:
		return Told{}, errSilentPeer
	case err != nil:
		return Told{}, err
	}
	told := Told{Database: reply.GetPaymentsDatabase()}
	if reply.GetClockTime() != nil {
		told.Clock = Read(reply.GetClockTime().AsTime(), asked, time.Now())
	}
	return told, nil
}

// notice looks at what paymentd answered for signs that it, or its clock, is no longer what it was.
func (a *acquaintance) notice(p *paymentv1.Payment, reason string) {
	if reason == reasonWrongDatabase {
		a.forget()
		return
	}
	if k := a.latest(); k != nil && k.jumped(p, time.Now()) {
		a.doubt.Ring()
	}
}

// keep asks again and again until ctx ends: seldom while nothing is sent and all is well. What comes of it is told by
// Trust.
func (a *acquaintance) keep(ctx context.Context) {
	for {
		interval := askInterval // who does not answer is noticed by the commands that are sent there
		if k, err := a.ask(ctx); err == nil && k.agrees() {
			interval = restInterval
		}
		if !wait.For(ctx, askPause) { // a moment after it was asked, the same would be heard
			return
		}
		timer := time.NewTimer(interval - askPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-a.doubt:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}
