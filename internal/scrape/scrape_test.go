package scrape_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"hosho/internal/scrape"
)

var depth = prometheus.NewDesc("depth", "How deep it is.", nil, nil)

// well is asked how deep it is.
type well struct {
	registry *prometheus.Registry
	mu       sync.Mutex
	asked    int
	err      error
	takes    time.Duration
}

func newWell() *well {
	w := &well{registry: prometheus.NewRegistry()}
	scrape.New(w.registry, slog.New(slog.DiscardHandler)).Add("well", w.ask, depth)
	return w
}

func (w *well) ask(ctx context.Context) ([]prometheus.Metric, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	select {
	case <-time.After(w.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return []prometheus.Metric{prometheus.MustNewConstMetric(depth, prometheus.GaugeValue, float64(w.asked))}, w.err
}

// tells compares what a scrape says.
func (w *well) tells(t *testing.T, depths, failures string) {
	t.Helper()
	want := `
		# HELP hosho_scrape_failures_total Times that what a metric tells could not be had, and the metric was left ` +
		`out, by what was asked for.
		# TYPE hosho_scrape_failures_total counter
		hosho_scrape_failures_total{what="well"} ` + failures + "\n"
	if depths != "" {
		want = "# HELP depth How deep it is.\n# TYPE depth gauge\ndepth " + depths + want
	}
	if err := testutil.GatherAndCompare(w.registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestNobodyIsAskedUntilSomebodyScrapesAndThenOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWell()
		time.Sleep(time.Hour)
		if w.asked != 0 {
			t.Errorf("got asked %d times, want never", w.asked)
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { w.tells(t, "1", "0") })
		}
		all.Wait()
		time.Sleep(10*time.Second - 1)
		w.tells(t, "1", "0")
		time.Sleep(time.Nanosecond)
		w.tells(t, "2", "0")
	})
}

// What was told before an outage is no figure of today's.
func TestWhatCannotBeHadIsLeftOutAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWell()
		w.tells(t, "1", "0")
		time.Sleep(10 * time.Second)
		w.err = errors.New("no rope")
		// The counter of the same scrape may be gathered before or after it is asked.
		if _, err := w.registry.Gather(); err != nil {
			t.Fatal(err)
		}
		w.tells(t, "", "1")
		time.Sleep(10 * time.Second)
		w.err = nil
		w.tells(t, "3", "1")
	})
}

func TestWhatIsSlowIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWell()
		w.takes = time.Minute
		began := time.Now()
		if _, err := w.registry.Gather(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("got an answer after %v, want one second", took)
		}
		w.tells(t, "", "1")
	})
}

func TestWithoutARegistryNothingIsAsked(t *testing.T) {
	w := &well{}
	scrape.New(nil, slog.New(slog.DiscardHandler)).Add("well", w.ask, depth)
	if w.asked != 0 {
		t.Errorf("got asked %d times", w.asked)
	}
}
