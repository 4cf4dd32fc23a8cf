package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hosho/internal/card"
)

// effectReplyLost makes paymentd lose its own reply to a new charge, once: asked again, the key is known. The card
// network has no part in it.
const effectReplyLost = "reply-lost"

var errReplyLost = errors.New("simulated loss of the reply; the charge is decided")

// simulation is what --simulate asks for, by the amount of a new charge in the minor unit of any currency. The zero
// value is a network that approves all, and no reply is lost. Voids never meet it.
type simulation struct {
	network card.Simulation
	loses   map[int64]bool // the amounts of effectReplyLost
}

// UnmarshalText reads --simulate, "9999:internal,9996:decline".
func (s *simulation) UnmarshalText(text []byte) error {
	*s = simulation{card.Simulation{}, map[int64]bool{}}
	if len(text) == 0 {
		return nil
	}
	for rule := range strings.SplitSeq(string(text), ",") {
		if err := s.add(rule); err != nil {
			return fmt.Errorf("rule %q: %w", rule, err)
		}
	}
	return nil
}

func (s *simulation) add(rule string) error {
	amount, word, _ := strings.Cut(rule, ":")
	minor, err := strconv.ParseInt(amount, 10, 64)
	if err != nil || minor < 1 {
		return errors.New("want an amount in the minor unit, a colon and an effect, such as 9999:internal")
	}
	if s.network[minor] != "" || s.loses[minor] {
		return errors.New("want one effect an amount, got a second")
	}
	switch effect := card.Effect(word); {
	case word == effectReplyLost:
		s.loses[minor] = true
	case slices.Contains(card.Effects, effect):
		s.network[minor] = effect
	default:
		return fmt.Errorf("want one of the effects %s, %s, %s or %s",
			card.Fail, effectReplyLost, card.Hang, card.Decline)
	}
	return nil
}
