package main

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Nothing that can be counted is missing before it happens: a rate is told from the first time on.
func TestWhatIsDecidedIsCountedFromZeroOn(t *testing.T) {
	t.Parallel()
	s := start(t)
	want := map[string]float64{
		"CHARGE none CHARGED": 0, "CHARGE INSUFFICIENT_FUNDS DECLINED": 0, "CHARGE EXPIRED DECLINED": 0,
		"VOID none VOIDED": 0, "VOID none REFUNDED": 0,
	}
	wantFigures(t, figures(t, s.seen, "hosho_payments_decided_total"), want)
	wantFigures(t, figures(t, s.seen, "hosho_payments_repeated_total"), map[string]float64{"CHARGE": 0, "VOID": 0})
	wantFigures(t, figures(t, s.seen, "hosho_payment_conflicts_total"), map[string]float64{"": 0})
	wantFigures(t, figures(t, s.seen, "hosho_ledger_minor_total"), map[string]float64{
		"other CHARGE": 0, "other REFUND": 0,
	})
}

// Repeats, conflicts, lost replies and calls of both kinds: what is counted as decided is what the tables hold.
func TestWhatIsCountedIsWhatTheTablesHold(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.open(t, t.Context())
	good, poor, late, lost := newCharge(500), newCharge(9996), newCharge(700), newCharge(9998)
	late.NotAfter = timestamppb.New(time.Now().Add(-time.Hour))
	other := proto.CloneOf(good)
	other.Amount = yen(501)
	unknown, single := newCharge(300), newCharge(800)
	k.send(good, good, poor, late, lost)
	k.receive(5)
	k.send(other, poor, voidOf(good), voidOf(unknown), voidOf(unknown))
	k.receive(5)
	k.send(unknown, lost, voidOf(good), voidOf(other))
	k.receive(4)
	s.charge(t, single)
	s.charge(t, single)

	wantFigures(t, figures(t, s.seen, "hosho_payments_decided_total"), s.rows(t, `
		SELECT CASE WHEN status = 'VOIDED' THEN 'VOID' ELSE 'CHARGE' END || ' ' ||
			coalesce(decline_reason, 'none') || ' ' || CASE status WHEN 'REFUNDED' THEN 'CHARGED' ELSE status END,
			count(*)::float8
		FROM payments GROUP BY 1
		UNION ALL SELECT 'VOID none REFUNDED', count(*) FROM payments WHERE status = 'REFUNDED'`))
	ledger := s.rows(t, `
		SELECT currency || ' ' || kind, sum(amount_minor)::float8 FROM ledger GROUP BY 1`)
	ledger["other CHARGE"], ledger["other REFUND"] = 0, 0
	wantFigures(t, figures(t, s.seen, "hosho_ledger_minor_total"), ledger)
	wantFigures(t, figures(t, s.seen, "hosho_payments_repeated_total"), map[string]float64{"CHARGE": 5, "VOID": 2})
	wantFigures(t, figures(t, s.seen, "hosho_payment_conflicts_total"), map[string]float64{"": 2})
}

// Whoever names currencies makes no more figures than a few.
func TestFurtherCurrenciesAreOneFigure(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := newMoved(registry)
	for i := range 2 * mostCurrencies {
		m.of("A" + string(rune('A'+i/26)) + string(rune('A'+i%26))).charged.Add(7)
	}
	if got := m.of("AAA"); got != m.currencies["AAA"] || len(m.currencies) != mostCurrencies {
		t.Errorf("got %d currencies, want %d, the first of them for ever", len(m.currencies), mostCurrencies)
	}
	if got, want := figures(t, registry, "hosho_ledger_minor_total")["other CHARGE"], 7.0*mostCurrencies; got != want {
		t.Errorf("got %v in all others, want %v", got, want)
	}
}

// figures returns what a metric says, by the values of its labels in the order of their names.
func figures(t *testing.T, seen prometheus.Gatherer, name string) map[string]float64 {
	t.Helper()
	families, err := seen.Gather()
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, label := range m.GetLabel() {
				values = append(values, label.GetValue())
			}
			figures[strings.Join(values, " ")] = m.GetCounter().GetValue()
		}
	}
	return figures
}

// rows returns what a query says of each key.
func (s *system) rows(t *testing.T, sql string) map[string]float64 {
	t.Helper()
	rows, err := s.db.Pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	var key string
	var value float64
	if _, err := pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		found[key] = value
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func wantFigures(t *testing.T, got, want map[string]float64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
