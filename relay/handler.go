package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"hosho/internal/digest"
	"hosho/internal/events"
	"hosho/internal/logline"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/outbox"
	"hosho/internal/pg"
	"hosho/internal/plain"
	"hosho/internal/rpc"
	"hosho/internal/trace"
	"hosho/relay/internal/dispatch"
)

// handler is the relay's side of the outbox engine: it sends commands on their way and applies what became of them to
// orders.
type handler struct {
	way

	name        string // of this relay, for operators
	store       *orderdb.Store
	watchers    *pg.Waker // tells orderd that orders have changed
	maxAttempts int
	voidAlarm   int // failures of a void
	backoff     func(kind string) outbox.Backoff
	giveUps     *giveUps
	persons     *persons
	digest      *digest.Digest[sort] // of deliveries that came to nothing
	traces      *trace.Tracer
	events      *events.Log
	log         *slog.Logger
}

// longestError bounds what a line tells of an error, in bytes.
const longestError = 1 << 10

// Explain logs the one line that a delivery gets: what came back, and what it means. Those that come to nothing by the
// thousand are told together, unless the log is to tell everything. Where all goes well, the order's own line says it.
func (h *handler) Explain(r outbox.Report) {
	ctx := context.Background()
	h.Ended(r)
	h.events.Delivery(traceparentOf(r.Message.Traceparent), h.delivered(r))
	if r.Result == outbox.HandedOver {
		return // nothing has become of it yet
	}
	h.giveUps.note(r, eventOf(r, h.maxAttempts))
	if r.Code == dispatch.CodeDataLoss && r.Result == outbox.Ambiguous {
		h.persons.callAbout(r.Message, r.Code, dataLost)
	}
	level := severity(r)
	if !h.log.Enabled(ctx, level) {
		return
	}
	together := r.Result != outbox.Decided && level != slog.LevelError && !h.log.Enabled(ctx, slog.LevelDebug)
	if together && !h.digest.Tells(sort{r.Message.Kind, r.Code, r.Result.String(), level}) {
		return
	}
	attrs := []any{
		"order_id", r.Message.Key, "kind", r.Message.Kind, "claim", r.Message.Claims + r.Message.Sends,
		"attempts", r.Message.Attempts,
		"leased_until", r.Message.LeasedUntil, "code", r.Code, "means", r.Result.String(),
		"event", eventOf(r, h.maxAttempts).String(),
	}
	if r.Took > 0 { // of what was heard over a broker nobody knows it
		attrs = append(attrs, "took", r.Took)
	}
	if text, ok := r.Body.(string); ok && text != "" {
		attrs = append(attrs, "error", rpc.Brief(plain.Text(text), longestError))
	}
	if r.Message.Sends > 0 {
		attrs = append(attrs, "sends", r.Message.Sends)
	}
	if h.again(r) {
		attrs = append(attrs, "retry_in", r.Delay.Round(time.Millisecond))
	}
	h.log.Log(ctx, level, "delivery", attrs...)
}

// severity is how loud the log is about a delivery.
func severity(r outbox.Report) slog.Level {
	switch {
	case r.Result == outbox.Decided && r.Message.Claims <= 1 && !r.Late:
		return slog.LevelDebug // what it led to has a line
	case r.Result == outbox.Decided, r.Result == outbox.Deferred,
		r.Code == codeUnwanted && order.Command(r.Message.Kind) == order.Charge:
		return slog.LevelInfo // a customer cancelled before it was sent: that is every day
	case r.Result == outbox.Conflict, r.Result == outbox.Unreadable, r.Code == dispatch.CodeDataLoss:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// again reports whether a command is, as far as its order allows, tried again.
func (h *handler) again(r outbox.Report) bool {
	if r.Result == outbox.Stray {
		return false // it is parked
	}
	switch eventOf(r, h.maxAttempts) {
	case order.ChargeUndecided, order.VoidUndecided, order.VoidConflict, order.VoidUnreadable:
		return true
	}
	return false
}

// Settle applies reports to their orders and logs what changed, once it is committed.
func (h *handler) Settle(ctx context.Context, reports []outbox.Report) (outbox.Settled, error) {
	stray, reports := parted(reports, outbox.Stray)
	if err := h.setAside(ctx, stray); err != nil {
		return outbox.Settled{}, err
	}
	handed, reports := parted(reports, outbox.HandedOver)
	if err := h.handOver(ctx, handed); err != nil {
		return outbox.Settled{}, err
	}
	if len(reports) == 0 {
		return outbox.Settled{}, nil
	}
	findings := make([]orderdb.Finding, len(reports))
	for i, r := range reports {
		findings[i] = h.finding(r)
	}
	began := time.Now()
	done, err := h.store.Settle(ctx, findings)
	h.traceSettled(began, reports, done, err)
	h.tell(done.Changes) // along with an error, too: they are committed, and are no news when all is done again
	if err != nil {
		return outbox.Settled{}, err
	}
	h.tellVain(done.Vain)
	settled := outbox.Settled{More: done.More}
	for _, i := range done.Later {
		settled.Later = append(settled.Later, reports[i])
	}
	settled.Later = h.withOrder(ctx, settled.Later)
	return settled, nil
}

// finding is what became of a command, for its order.
func (h *handler) finding(r outbox.Report) orderdb.Finding {
	return orderdb.Finding{
		Event: eventOf(r, h.maxAttempts), Told: toldBy(r), Longest: h.backoff(r.Message.Kind).Cap,
		Retry: outbox.Retry{
			Message: r.Message, Delay: r.Delay, Code: r.Code,
			Spends: r.Result == outbox.Ambiguous, Answered: !r.Lost, Forgives: r.Message.Alone && r.Hung,
		},
		Delivery: orderdb.Delivery{
			Relay: h.name, RPC: h.Method(r), Result: r.Result, Took: r.Took,
			Traced: h.traces.Joins(r.Message.Traceparent),
		},
	}
}

// handOver notes what a broker has confirmed.
func (h *handler) handOver(ctx context.Context, reports []outbox.Report) error {
	handed := make([]outbox.Handed, len(reports))
	for i, r := range reports {
		handed[i] = outbox.Handed{Message: r.Message, Delay: r.Delay, Code: r.Code}
	}
	return h.store.HandOver(ctx, handed)
}

// withOrder returns reports without the late ones whose orders are gone: they would be kept for ever.
func (h *handler) withOrder(ctx context.Context, reports []outbox.Report) []outbox.Report {
	if !slices.ContainsFunc(reports, func(r outbox.Report) bool { return r.Late }) {
		return reports
	}
	messages := make([]outbox.Message, len(reports))
	for i, r := range reports {
		messages[i] = r.Message
	}
	purposes, err := h.store.Purposes(ctx, messages)
	if err != nil {
		return reports // another time
	}
	var kept []outbox.Report
	for i, r := range reports {
		if !r.Late || purposes[i].Order != nil {
			kept = append(kept, r)
		}
	}
	return kept
}

// tell logs changes of status and alarms, and wakes those who watch the orders and have not been told.
func (h *handler) tell(changes []orderdb.Change) {
	var ids []string
	for _, c := range changes {
		if !c.Told {
			ids = append(ids, c.OrderID)
		}
		attrs := make([]slog.Attr, 0, 6)
		attrs = append(attrs, slog.String("order_id", c.OrderID), slog.String("status", string(c.To)),
			slog.String("from", string(c.From)))
		if c.Reason != "" {
			attrs = append(attrs, slog.String("reason", string(c.Reason)))
		}
		if c.Trace != nil {
			attrs = logline.WithTrace(attrs, *c.Trace)
		}
		if c.Alarm {
			h.persons.call(causeOf(c.Event), append(attrs, slog.String("code", c.Code))...)
		}
		if c.From != c.To {
			h.events.Order(traceparentOf(c.Trace), changeOf(c))
			attrs = append(attrs, slog.String("cause", c.Event.String()))
			logline.Write(context.Background(), h.log, slog.LevelInfo, "order", attrs...)
		}
	}
	if len(ids) > 0 {
		h.watchers.WakeAbout(ids...)
	}
}

// tellVain calls for a person when a void has failed as often as the limit says, and each time that this has doubled.
func (h *handler) tellVain(voids []orderdb.Vain) {
	for _, v := range voids {
		if order.Doubled(v.Failures, h.voidAlarm) {
			h.persons.callAbout(v.Message, v.Code, voidInVain,
				slog.Int("claims", v.Message.Claims), slog.Int("failures", v.Failures))
		}
	}
}
