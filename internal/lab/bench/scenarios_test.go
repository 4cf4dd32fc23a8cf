package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"hosho/internal/slow"
)

// Each scenario comes to its end with small numbers, and tells what it is about.
func TestEachScenarioEnds(t *testing.T) {
	slow.Long(t, "runs the whole system once for each scenario")
	checks := map[string]func(*testing.T, Result){
		"idle": func(t *testing.T, r Result) {
			if r.Idle == nil || r.Idle.PerSecond["orders"] <= 0 || len(r.Idle.Asked) == 0 {
				t.Errorf("got %+v, want statements", r.Idle)
			}
		},
		"backlog": func(t *testing.T, r Result) {
			if d := r.Drained; d == nil || d.SagasPerSecond <= 0 || d.ClaimMS == nil || d.ClaimMS.N == 0 {
				t.Errorf("got %+v, want a drain, and claims", d)
			}
		},
		"hour": func(t *testing.T, r Result) {
			if len(r.Minutes) == 0 || r.Minutes[0].OutboxBytes == 0 {
				t.Errorf("got %+v, want the tables' sizes", r.Minutes)
			}
		},
		"snapshot": compares(1, 3), "rows": compares(1, 2), "watchers": compares(1, 2), "relays": compares(3, 4),
	}
	for _, s := range Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			r := measured(t, Config{
				Scenario: s.Name, Duration: 3 * time.Second, Clients: 8, Mode: Watch, Relays: 1,
				Rows: 2500, Backlog: 1500, Watchers: 200,
			})
			checks[s.Name](t, r)
		})
	}
}

// compares checks that there are so many comparisons of so many loads.
func compares(n, loads int) func(*testing.T, Result) {
	return func(t *testing.T, r Result) {
		t.Helper()
		if len(r.Shares) != n || len(r.Loads) != loads || r.SagasPerSecond <= 0 {
			t.Errorf("got %d shares of %d loads, %v, want %d of %d", len(r.Shares), len(r.Loads), r.Shares, n, loads)
		}
	}
}

// At a rate that the system keeps up with, as many orders are placed as are due.
func TestASweepIsDrawn(t *testing.T) {
	slow.Long(t, "runs the whole system a dozen times")
	r := measured(t, Config{Duration: time.Second, Clients: 8, Mode: Watch, Relays: 1, Sweep: true})
	if len(r.byClients) != 3 || len(r.byRate) != 6 {
		t.Errorf("got %d and %d loads, want 1, 4 and 8 clients, and six rates", len(r.byClients), len(r.byRate))
	}
	if l := r.byRate[0]; l.CreatesPerSecond < 0.5*l.Offered || l.CreatesPerSecond > 1.5*l.Offered {
		t.Errorf("got %.0f creates/s, want about %.0f", l.CreatesPerSecond, l.Offered)
	}
	wantDrawing(t, r)
}

func TestWhatWasMeasuredIsDrawn(t *testing.T) {
	t.Parallel()
	of := func(clients int, rate, p50, p99 float64) Load {
		return Load{
			Clients: clients, Offered: rate, SagasPerSecond: rate,
			LatencyMS: Latency{Settled: &Spread{P50: p50, P99: p99}},
		}
	}
	for _, r := range []Result{
		{}, // nothing was measured
		{byClients: []Load{of(1, 200, 4.5, 9)}},
		{
			byClients: []Load{of(1, 200, 4.5, 9), of(4, 700, 5, 12), of(16, 2000, 8, 30), of(1024, 9000, 100, 220)},
			byRate:    []Load{of(1024, 900, 3, 8), of(1024, 4500, 5, 20), of(1024, 9000, 80, 400)},
		},
	} {
		wantDrawing(t, r)
	}
}

// wantDrawing checks that the plots can be read, and lie within their frame.
func wantDrawing(t *testing.T, r Result) {
	t.Helper()
	var drawn bytes.Buffer
	if err := r.WritePlots(&drawn); err != nil {
		t.Fatal(err)
	}
	if text := drawn.String(); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("got %s, want numbers", text)
	}
	for reader := xml.NewDecoder(&drawn); ; {
		_, err := reader.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
