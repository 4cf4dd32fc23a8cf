package main

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// Each call for a person is a line in the log and one more in the figure of its cause.
func TestCallsForAPersonAreCounted(t *testing.T) {
	t.Parallel()
	registry, log := prometheus.NewRegistry(), &journal{}
	p := &persons{log: slog.New(log), alarms: newAlarms(registry)}
	p.call(causeOf(order.PaymentExpiredEarly), slog.String("order_id", "1"))
	p.call(causeOf(order.PaymentExpiredEarly), slog.String("order_id", "2"))
	void := outbox.Message{Key: "3", Kind: "VOID"}
	p.callAbout(void, "KEY_REUSED", causeOf(order.VoidConflict), slog.Int("failures", 4))
	want := map[string]float64{"payment_expired_early": 2, "void_conflict": 1}
	for _, c := range causes() {
		if got := moved(t, registry, "hosho_alarms_total", c.word); got != want[c.word] {
			t.Errorf("%s: got %v calls, want %v", c.word, got, want[c.word])
		}
	}
	lines := log.lines("order needs a person")
	if len(lines) != 3 || lines[2]["order_id"] != "3" || lines[2]["cause"] != "void conflict" {
		t.Errorf("got %v, want a line for each", lines)
	}
}
