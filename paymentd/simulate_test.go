package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSimulationIsReadRuleByRule(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[int64]effect{
		"":              {},
		"9999:internal": {9999: effectInternal},
		"9999:internal,9998:reply-lost,9997:hang,9996:decline": {
			9999: effectInternal, 9998: effectReplyLost, 9997: effectHang, 9996: effectDecline,
		},
	} {
		var s simulation
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, s.effects); diff != "" {
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
		"99999999999999999999:hang": "an amount in the minor unit",
	} {
		var s simulation
		if err := s.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one that says %q", text, err, want)
		}
	}
}
