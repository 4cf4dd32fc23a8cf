package main

import (
	"cmp"
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
)

// metrics count what was decided, once it is committed. What was committed without an answer is missing in them.
type metrics struct {
	decided   map[decided]prometheus.Counter
	repeated  map[paymentv1.PaymentResult_Kind]prometheus.Counter
	conflicts prometheus.Counter
	moved     *moved
}

// decided is what a command of a kind made of a payment.
type decided struct {
	kind   paymentv1.PaymentResult_Kind
	status payment.Status
	reason payment.DeclineReason
}

func newMetrics(registry prometheus.Registerer) *metrics {
	of := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_payments_decided_total",
		Help: "Payments that a command of the kind decided, by the status that they have since and why they were " +
			"declined (none: they were not): CHARGED, DECLINED, VOIDED, which keeps a later charge from taking " +
			"money, and REFUNDED, which were CHARGED before. Each change is counted once, however often its command " +
			"is repeated.",
	}, []string{"kind", "status", "reason"})
	repeated := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_payments_repeated_total",
		Help: "Commands that changed nothing and were answered what had been decided before.",
	}, []string{"kind"})
	conflicts := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hosho_payment_conflicts_total",
		Help: "Commands that were refused since their payment was decided for another customer, amount or currency. " +
			"One that is repeated counts each time.",
	})
	m := &metrics{
		decided:   map[decided]prometheus.Counter{},
		repeated:  map[paymentv1.PaymentResult_Kind]prometheus.Counter{},
		conflicts: conflicts, moved: newMoved(registry),
	}
	for _, kind := range []paymentv1.PaymentResult_Kind{kindCharge, kindVoid} {
		m.repeated[kind] = repeated.WithLabelValues(kindName(kind))
	}
	for _, d := range decisions() {
		m.decided[d] = of.WithLabelValues(kindName(d.kind), string(d.status), cmp.Or(string(d.reason), "none"))
	}
	if registry != nil {
		registry.MustRegister(of, repeated, conflicts)
	}
	return m
}

// decisions returns what commands may make of payments.
func decisions() (all []decided) {
	for _, command := range payment.Commands {
		kind := kindCharge
		if command == payment.Void {
			kind = kindVoid
		}
		for _, before := range payment.Statuses {
			if d := payment.Apply(before, command); d.Status != before {
				all = append(all, decided{kind, d.Status, d.Reason})
			}
		}
	}
	return all
}

// note takes what became of commands of a kind. Most of a batch come to the same: each row of those is counted at once.
func (m *metrics) note(kind paymentv1.PaymentResult_Kind, results []paymentdb.Result) {
	var repeated, conflicts int
	var same run
	for i := range results {
		switch r := &results[i]; {
		case errors.Is(r.Err, paymentdb.ErrKeyReused):
			conflicts++
		case r.Err == nil && r.New:
			if !same.takes(kind, &r.Payment) {
				m.add(same)
				same = begun(kind, &r.Payment)
			}
		case r.Err == nil:
			repeated++
		}
	}
	m.add(same)
	m.repeated[kind].Add(float64(repeated))
	m.conflicts.Add(float64(conflicts))
}

// run is decisions that came to the same, one after the other.
type run struct {
	decided

	currency string
	n        int
	minor    int64
}

func begun(kind paymentv1.PaymentResult_Kind, p *payment.Payment) run {
	return run{decided{kind, p.Status, p.DeclineReason}, p.Currency, 1, p.AmountMinor}
}

// takes adds a decision, if it came to the same.
func (r *run) takes(kind paymentv1.PaymentResult_Kind, p *payment.Payment) bool {
	if r.decided != (decided{kind, p.Status, p.DeclineReason}) || r.currency != p.Currency {
		return false
	}
	r.n++
	r.minor += p.AmountMinor
	return true
}

func (m *metrics) add(r run) {
	if r.n == 0 {
		return
	}
	m.decided[r.decided].Add(float64(r.n))
	switch r.status {
	case payment.Charged:
		m.moved.of(r.currency).charged.Add(float64(r.minor))
	case payment.Refunded:
		m.moved.of(r.currency).refunded.Add(float64(r.minor))
	}
}

// mostCurrencies is how many currencies have figures of their own. Whoever may charge names them, and each is kept for
// as long as the process lives.
const mostCurrencies = 20

// otherCurrency stands for all further ones.
const otherCurrency = "other"

// moved is the money that moved.
type moved struct {
	minor *prometheus.CounterVec

	mu         sync.Mutex
	currencies map[string]inCurrency
	others     inCurrency
}

type inCurrency struct{ charged, refunded prometheus.Counter }

func newMoved(registry prometheus.Registerer) *moved {
	m := &moved{currencies: map[string]inCurrency{}, minor: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hosho_ledger_minor_total",
		Help: "Money that was booked in the ledger, taken (CHARGE) or given back (REFUND), in the currency's minor " +
			"unit: cents, or yen. The first 20 currencies that a process meets have figures of their own; the sum of " +
			"all further ones is other, and says no more than that there are some.",
	}, []string{"entry", "currency"})}
	m.others = m.named(otherCurrency)
	if registry != nil {
		registry.MustRegister(m.minor)
	}
	return m
}

func (m *moved) named(currency string) inCurrency {
	return inCurrency{
		m.minor.WithLabelValues(string(payment.ChargeEntry), currency),
		m.minor.WithLabelValues(string(payment.RefundEntry), currency),
	}
}

// of returns the figures of a currency.
func (m *moved) of(currency string) inCurrency {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, found := m.currencies[currency]
	switch {
	case found:
		return known
	case len(m.currencies) == mostCurrencies:
		return m.others
	}
	m.currencies[currency] = m.named(currency)
	return m.currencies[currency]
}
