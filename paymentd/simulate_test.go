package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hosho/internal/card"
)

func TestSimulationIsReadRuleByRule(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]simulation{
		"":              {card.Simulation{}, map[int64]bool{}},
		"9999:internal": {card.Simulation{9999: card.Fail}, map[int64]bool{}},
		"9999:internal,9998:reply-lost,9997:hang,9996:decline": {
			card.Simulation{9999: card.Fail, 9997: card.Hang, 9996: card.Decline}, map[int64]bool{9998: true},
		},
	} {
		var got simulation
		if err := got.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(simulation{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestASimulationThatCannotBeReadSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"x":                         "9999:internal",
		"9999":                      "internal, reply-lost, hang or decline",
		"9999:":                     "internal, reply-lost, hang or decline",
		"9999:explode":              "internal, reply-lost, hang or decline",
		"0:hang":                    "an amount in the minor unit",
		"-1:hang":                   "an amount in the minor unit",
		"9999:hang,":                "an amount in the minor unit",
		"9999:hang,9999:decline":    "one effect an amount",
		"9999:hang,9999:reply-lost": "one effect an amount",
		"9999:reply-lost,9999:hang": "one effect an amount",
		"99999999999999999999:hang": "an amount in the minor unit",
	} {
		var s simulation
		if err := s.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one that says %q", text, err, want)
		}
	}
}
