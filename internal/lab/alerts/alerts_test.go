package alerts

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hosho/internal/slow"
	"hosho/internal/wait"
)

const longWait = 30 * time.Second

// said is what every target of the test says of itself, while the oldest charge is so many seconds old.
func said(age int64) string {
	return fmt.Sprintf(`hosho_ready 1
hosho_reconcile_last_success_timestamp_seconds %d
hosho_outbox_oldest_age_seconds{kind="CHARGE"} %d
`, time.Now().Unix(), age)
}

// The oldest charge is three seconds old, which is two minutes and more at a sixtieth: it fires by the rules that
// operators have, by the name and labels that they see, and nothing else does.
func TestAnAlertFiresByTheRulesThatOperatorsHave(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs a Prometheus")
	var age atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := fmt.Fprint(w, said(age.Load())); err != nil {
			t.Error(err)
		}
	}))
	defer target.Close()
	address := strings.TrimPrefix(target.URL, "http://")
	targets := map[string][]string{}
	for _, job := range []string{"orderd", "paymentd", "relay", "reconcile"} {
		targets[job] = []string{address}
	}
	p, err := Start(t.Context(), Config{Dir: t.TempDir(), Scale: 60, Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if fired, err := p.Fired(t.Context()); err != nil || len(fired) > 0 {
		t.Errorf("before anything is wrong: got %v, error %v, want nothing", fired, err)
	}
	began := time.Now()
	age.Store(3)
	var fired []Firing
	for deadline := began.Add(longWait); len(fired) == 0; {
		if fired, err = p.Fired(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing fired within %s", longWait)
		}
		wait.For(t.Context(), poll)
	}
	f := fired[0]
	if len(fired) != 1 || f.Alert != "HoshoChargesWait" || f.For < p.Every() || f.First.Before(began.Add(-p.Every())) {
		t.Errorf("got %+v, want HoshoChargesWait alone, since %s", fired, began)
	}
}

// What keeps Prometheus from starting is its own to tell.
func TestAPrometheusThatDoesNotStartTellsWhy(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs a Prometheus")
	_, err := Start(t.Context(), Config{
		Dir: t.TempDir(), Scale: 60, Targets: map[string][]string{"relay": {"http://nowhere/"}},
	})
	if err == nil || !strings.Contains(err.Error(), "is not a valid hostname") {
		t.Errorf("got error %v, want what Prometheus says", err)
	}
}

func TestOtherLabelsTellAnAlertFromAnother(t *testing.T) {
	t.Parallel()
	got := others(map[string]string{
		"__name__": "ALERTS", "alertname": "A", "alertstate": "firing", "severity": "page", "kind": "VOID",
		"job": "relay",
	})
	if want := `job="relay" kind="VOID"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// make alerts has a line for each alert, with what causes it, and one in which nothing is wrong.
func TestEveryAlertIsCausedByMakeAlerts(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join("..", "..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var caused []string
	joined := regexp.MustCompile(`\$\\\n\s*`).ReplaceAllString(string(makefile), "")
	for _, line := range regexp.MustCompile(`--expect (\S+)`).FindAllStringSubmatch(joined, -1) {
		caused = append(caused, strings.Split(line[1], ",")...)
	}
	for _, name := range append(Names(), "none") {
		if !slices.Contains(caused, name) {
			t.Errorf("no line of make alerts expects %s", name)
		}
	}
}
