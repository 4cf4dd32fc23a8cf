package rules_test

import (
	"slices"
	"testing"

	"hosho/internal/rules"
)

func TestEveryRuleAndInvariantIsListedOnce(t *testing.T) {
	t.Parallel()
	for i, r := range rules.Rules {
		if int(r.Number) != i+1 || r.Says == "" {
			t.Errorf("got %+v at place %d, want the rules by number, each with its sentence", r, i+1)
		}
	}
	seen := map[rules.ID]bool{}
	for _, i := range rules.Invariants {
		if seen[i.ID] || i.Says == "" || i.When == "" || len(i.By) == 0 {
			t.Errorf("got %+v, want it once, with its sentence, when it holds and who checks it", i)
		}
		seen[i.ID] = true
	}
}

func TestCheckedByKeepsTheOrder(t *testing.T) {
	t.Parallel()
	var got []rules.ID
	for _, i := range rules.CheckedBy(rules.Clients) {
		got = append(got, i.ID)
	}
	if want := []rules.ID{rules.I9, rules.I10, rules.I11, rules.Definite}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestARuleIsNamedByItsNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[rules.Number]string{0: "promise", 9: "rule 9"} {
		if got := n.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
