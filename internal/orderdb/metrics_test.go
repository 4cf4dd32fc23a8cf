package orderdb_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/orderdb"
	"hosho/internal/pgtest"
)

// figures returns the counters of a registry and the sums of its histograms, by the values of their labels.
func figures(t *testing.T, registry prometheus.Gatherer) (counters, sums map[string]float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counters, sums = map[string]float64{}, map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, pair := range m.GetLabel() {
				labels += " " + pair.GetValue()
			}
			if h := m.GetHistogram(); h != nil {
				counters[labels], sums[labels] = float64(h.GetSampleCount()), h.GetSampleSum()
			} else {
				counters[labels] = m.GetCounter().GetValue()
			}
		}
	}
	return counters, sums
}

// Orders are settled in both ways, given up, and given up after they were paid. The metrics say what the rows do.
func TestWhatBecomesOfOrdersIsCounted(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, found finder) {
		db := pgtest.Orders(t)
		registry := prometheus.NewRegistry()
		s := orderdb.New(db.Pool, command.Encode).Counting(orderdb.NewMetrics(registry, order.Events...))
		settle := func(e order.Event, kind order.Command) order.Order {
			o := place(t, s, newOrder())
			if kind == order.Void {
				cancel(t, s, o.ID, "")
			}
			finding := found(e, claimed(t, db, o.ID))
			apply(t, s, finding)
			apply(t, s, finding) // which changes nothing
			return get(t, s, o.ID)
		}
		paid, declined := settle(order.PaymentCharged, order.Charge), settle(order.PaymentDeclined, order.Charge)
		voided := settle(order.PaymentVoided, order.Void)
		settle(order.ChargeUndecided, order.Charge)
		refunded := place(t, s, newOrder())
		apply(t, s, found(order.PaymentCharged, claimed(t, db, refunded.ID)))
		completed := get(t, s, refunded.ID)
		cancel(t, s, refunded.ID, "")
		cancel(t, s, refunded.ID, "") // which changes nothing
		apply(t, s, found(order.PaymentRefunded, claimed(t, db, refunded.ID)))

		counters, sums := figures(t, registry)
		for labels, want := range map[string]float64{
			" PENDING none COMPLETED": 2, " PENDING PAYMENT_DECLINED CANCELLED": 1, " PENDING CUSTOMER CANCELLING": 1,
			" COMPLETED CUSTOMER CANCELLING": 1, " CANCELLING CUSTOMER CANCELLED": 2, " PENDING DEADLINE CANCELLING": 0,
			" completed": 2, " cancelled": 2,
		} {
			if got, there := counters[labels]; got != want || !there {
				t.Errorf("%s: got %v, want %v", labels, got, want)
			}
		}
		took := func(orders ...order.Order) (seconds float64) {
			for _, o := range orders {
				seconds += o.UpdatedAt.Sub(o.CreatedAt).Seconds()
			}
			return seconds
		}
		wantNear(t, "completed", sums[" completed"], took(paid, completed))
		wantNear(t, "cancelled", sums[" cancelled"], took(declined, voided))
	})
}

func wantNear(t *testing.T, what string, got, want float64) {
	t.Helper()
	const microsecond = 1e-6
	if want <= 0 || got < want-microsecond || got > want+microsecond {
		t.Errorf("%s: got %v s in all, want %v s, as the rows say", what, got, want)
	}
}

// What an operator settles by hand is settled, too.
func TestWhatIsSettledByHandIsCounted(t *testing.T) {
	t.Parallel()
	db := pgtest.Orders(t)
	registry := prometheus.NewRegistry()
	s := orderdb.New(db.Pool, command.Encode).Counting(orderdb.NewMetrics(registry, order.OperatorSettles))
	o := place(t, s, newOrder())
	conflict := found(order.ChargeConflict, claimed(t, db, o.ID))
	conflict.Retry.Code = order.EchoMismatch
	apply(t, s, conflict)
	decision := orderdb.Decision{OrderID: o.ID, Operator: "ada", Reason: "told so", Codes: order.ConflictCodes}
	for range 2 {
		if _, _, err := s.SettleByHand(t.Context(), decision); err != nil {
			t.Fatal(err)
		}
	}
	counters, _ := figures(t, registry)
	if counters[" PENDING OPERATOR CANCELLED"] != 1 || counters[" cancelled"] != 1 {
		t.Errorf("got %v, want one order, settled once", counters)
	}
}
