package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// effect is what the simulated card network does with a new charge. The words are those of --simulate.
type effect string

// The effects.
const (
	effectNone      effect = ""           // approved
	effectInternal  effect = "internal"   // it fails, and nothing is written
	effectReplyLost effect = "reply-lost" // it is charged, and the reply is lost; asked again, the key is known
	effectHang      effect = "hang"       // there is no answer, and nothing is written
	effectDecline   effect = "decline"    // declined: insufficient funds
)

var (
	errSimulated   = errors.New("simulated failure")
	errReplyLost   = errors.New("simulated loss of the reply; the charge is decided")
	errNoAnswer    = errors.New("simulated hang; nothing is decided")
	errNetworkBusy = fmt.Errorf("%d hanging charges are waited for already", maxAside)
)

// simulation is the card network: it decides new charges by their amount in the minor unit, of any currency. The zero
// value approves all. Voids never meet it.
type simulation struct {
	effects map[int64]effect
}

func (s simulation) effect(amountMinor int64) effect { return s.effects[amountMinor] }

// fails reports whether the network does not decide a charge of this amount, or its decision does not get through.
func (s simulation) fails(amountMinor int64) bool {
	e := s.effect(amountMinor)
	return e != effectNone && e != effectDecline
}

// UnmarshalText reads --simulate, "9999:internal,9996:decline".
func (s *simulation) UnmarshalText(text []byte) error {
	s.effects = map[int64]effect{}
	if len(text) == 0 {
		return nil
	}
	for rule := range strings.SplitSeq(string(text), ",") {
		amount, word, _ := strings.Cut(rule, ":")
		minor, err := strconv.ParseInt(amount, 10, 64)
		if err != nil || minor < 1 {
			return fmt.Errorf("rule %q: want an amount in the minor unit, a colon and an effect, such as 9999:internal", rule)
		}
		if _, twice := s.effects[minor]; twice {
			return fmt.Errorf("rule %q: want one effect an amount, got a second", rule)
		}
		switch e := effect(word); e {
		case effectInternal, effectReplyLost, effectHang, effectDecline:
			s.effects[minor] = e
		default:
			return fmt.Errorf("rule %q: want one of the effects %s, %s, %s or %s",
				rule, effectInternal, effectReplyLost, effectHang, effectDecline)
		}
	}
	return nil
}

// hang waits until the caller's patience ends: errNoAnswer at its deadline, or at the server's where it has none;
// otherwise the cause that ctx ends for.
func (s *server) hang(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return errNoAnswer
}
