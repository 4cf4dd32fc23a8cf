package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hosho/internal/console/board"
)

// live answers with what is under way now, and what became of the orders before.
func (c *Console) live(v *visit) error {
	if c.feed.isOutOfDate() {
		c.feed.glance(v.Context())
	}
	return v.show("live", c.feed.picture())
}

// anew has the ledger begin again.
func (c *Console) anew(v *visit) error {
	c.feed.anew()
	return v.goTo("/")
}

// AsOf is when the backlog was counted, if that is too long ago to be what is so now; else zero.
func (p picture) AsOf() time.Time {
	if p.At.Sub(p.Counted) > outOfDate {
		return p.Counted
	}
	return time.Time{}
}

// Fresh reports whether the backlog is what is so now.
func (p picture) Fresh() bool { return p.At.Sub(p.Counted) <= outOfDate }

// IsGone reports whether the daemon at an address is away.
func (p picture) IsGone(address string) bool {
	return slices.ContainsFunc(p.Gone(), func(d daemonState) bool { return d.Address == address })
}

// Gone are the daemons that are away.
func (p picture) Gone() []daemonState {
	return slices.DeleteFunc(slices.Clone(p.Daemons), func(d daemonState) bool { return d.State != gone })
}

// Unready are the daemons that are there, and not as they should be.
func (p picture) Unready() []daemonState {
	return slices.DeleteFunc(slices.Clone(p.Daemons), func(d daemonState) bool {
		return d.State != unready && d.State != mute
	})
}

// Parked is how many commands wait for a person.
func (p picture) Parked() (all int64) {
	for _, k := range p.Kinds {
		all += k.Parked
	}
	return all
}

// BreakersOf are the breakers of a kind of command that were ever open.
func (p picture) BreakersOf(k board.Kind) []board.Breaker {
	return slices.DeleteFunc(slices.Clone(p.Breakers), func(b board.Breaker) bool { return b.Kind != k.Kind })
}

// Passed is for how long a moment has passed, in whole seconds.
func (p picture) Passed(since time.Time) time.Duration {
	return max(p.At.Sub(since).Truncate(time.Second), 0)
}

// rate is a number of orders a second.
func rate(r float64) string {
	if r > 0 && r < 10 {
		return fmt.Sprintf("%.1f", r)
	}
	return fmt.Sprintf("%.0f", r)
}

// coarse is a duration as exactly as it was counted: in steps of an eighth, which is two digits.
func coarse(d time.Duration) time.Duration {
	digit := time.Duration(1)
	for d/digit >= 100 {
		digit *= 10
	}
	return (d + digit/2) / digit * digit
}

// short is the end of an order's id: the beginning is the time, and much the same in all.
func short(id string) string { return "…" + id[max(len(id)-6, 0):] }

// hms is a moment of which the zone stands elsewhere.
func hms(t time.Time) string { return strings.Split(clock(t), " ")[0] }
