package demo

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/rules"
	"hosho/internal/slow"
	"hosho/internal/terminal"
)

func TestEveryOrderEndsAsItMust(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	output, holds := play(t, Config{})
	if !holds {
		t.Errorf("it does not hold:\n%s", output)
	}
	for _, s := range Scenes() {
		want := "ok: " + s.Ends.String()
		_, rest, found := strings.Cut(string(output), s.Title)
		if part, _, _ := strings.Cut(rest, "\n\n"); !found || !strings.Contains(part, want) {
			t.Errorf("%s: got\n%s\nwant %q", s.Title, part, want)
		}
	}
	if bytes.Contains(output, []byte("\x1b")) {
		t.Error("got escape sequences in a file")
	}
}

func TestOverABrokerEveryOrderEndsAsItMust(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes: stack runs the same orders")
	brokertest.Each(t, func(t *testing.T, kind string) {
		output, holds := play(t, Config{Transport: kind})
		if !holds {
			t.Errorf("it does not hold:\n%s", output)
		}
		for _, s := range append(Scenes(), OverBroker()) {
			_, rest, found := strings.Cut(string(output), s.Title)
			part, _, _ := strings.Cut(rest, "\n\n")
			if want := "ok: " + s.Ends.String(); !found || !strings.Contains(part, want) {
				t.Errorf("%s: got\n%s\nwant %q", s.Title, part, want)
			}
		}
	})
}

func TestTheNaiveWayShowsTheDamage(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs the whole system as processes")
	const paidAndCancelled = "WRONG: CANCELLED (PAYMENT_FAILED), payment CHARGED; " +
		"it must end COMPLETED, payment CHARGED"
	const hung = "the call failed: DeadlineExceeded\n  WRONG: CANCELLED (PAYMENT_FAILED), no payment; " +
		"it must end CANCELLED (PAYMENT_FAILED), payment VOIDED" // the last scene, after the outage
	const missing = "held: 13698 JPY, owed for completed orders: 1200 JPY"
	tests := []struct {
		config Config
		want   []string
	}{
		{Config{Naive: true}, []string{paidAndCancelled, broken(rules.I3), broken(rules.I7), hung, missing}},
		{Config{Naive: true, NoCompensation: true}, []string{"WRONG: PENDING", broken(rules.I14)}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%+v", tt.config), func(t *testing.T) {
			t.Parallel()
			output, holds := play(t, tt.config)
			if holds {
				t.Error("it holds")
			}
			for _, want := range tt.want {
				if !strings.Contains(string(output), want) {
					t.Errorf("got\n%s\nwant %q in it", output, want)
				}
			}
		})
	}
}

func broken(id rules.ID) string { return "BROKEN " + string(id) }

// play plays the demo, and returns what it printed.
func play(t *testing.T, config Config) (output []byte, holds bool) {
	t.Helper()
	slow.Test(t, "runs the whole system as processes")
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	holds, err = Run(t.Context(), terminal.New(file, nil), config)
	if err != nil {
		t.Fatal(err)
	}
	if output, err = os.ReadFile(file.Name()); err != nil {
		t.Fatal(err)
	}
	return output, holds
}
