package main

import (
	"fmt"
	"time"

	"hosho/internal/order"
	"hosho/internal/outbox"
	"hosho/relay/internal/dispatch"
)

// pace is the flags that say how fast, how often and how long the relay tries.
type pace struct {
	CallTimeout      time.Duration `default:"2s" env:"RELAY_CALL_TIMEOUT" help:"How long paymentd may take to answer one command."`
	SettleTimeout    time.Duration `default:"3s" env:"RELAY_SETTLE_TIMEOUT" help:"How long applying replies may take."`
	Lease            time.Duration `default:"10s" env:"RELAY_LEASE" help:"How long a claim lasts; longer than the two timeouts together."`
	MaxAttempts      int           `default:"5" env:"RELAY_MAX_ATTEMPTS" help:"Ambiguous replies after which a charge is given up."`
	Batch            int           `default:"500" env:"RELAY_BATCH" help:"Commands claimed, sent and settled at once; 1 to 1000."`
	BackoffBase      time.Duration `default:"100ms" env:"RELAY_BACKOFF_BASE" help:"Bound of the first wait before a retry; it doubles each time."`
	BackoffCap       time.Duration `default:"5s" env:"RELAY_BACKOFF_CAP" help:"Longest wait before a charge is tried again."`
	VoidBackoffCap   time.Duration `default:"60s" env:"RELAY_VOID_BACKOFF_CAP" help:"Longest wait before a void is tried again."`
	BreakerStreak    int           `default:"5" env:"RELAY_BREAKER_STREAK" help:"Orders in a row that fail for paymentd's reasons before only one a second is tried."`
	PollInterval     time.Duration `default:"1s" env:"RELAY_POLL_INTERVAL" help:"How often the outbox is looked at when nothing wakes the relay."`
	VoidAlarm        int           `default:"20" env:"RELAY_VOID_ALARM" help:"Attempts in vain after which a void calls for a person, and again each time that they have doubled."`
	StuckAfter       time.Duration `default:"15m" env:"RELAY_STUCK_AFTER" help:"An order under way that makes no progress for so long is listed as stuck: after its deadline, or while nobody knows whether its money is held."`
	UnsafeShortLease bool          `env:"RELAY_UNSAFE_SHORT_LEASE" help:"Allow a lease that may end before its command is settled. For experiments: commands are then sent twice."`
	Wake             bool          `default:"true" negatable:"" env:"RELAY_WAKE" help:"Keep a connection that LISTENs for new orders. Without it the relay only polls."`
}

// config checks the flags and makes the worker's configuration of them.
func (p pace) config() (outbox.Config, error) {
	if p.MaxAttempts < 1 {
		return outbox.Config{}, fmt.Errorf("max attempts: got %d, want at least 1", p.MaxAttempts)
	}
	if p.VoidAlarm < 1 {
		return outbox.Config{}, fmt.Errorf("void alarm: got %d, want at least 1", p.VoidAlarm)
	}
	if p.StuckAfter <= 0 {
		return outbox.Config{}, fmt.Errorf("stuck after: got %v, want more than 0", p.StuckAfter)
	}
	if p.BackoffBase <= 0 || p.BackoffCap < p.BackoffBase || p.VoidBackoffCap < p.BackoffBase {
		return outbox.Config{}, fmt.Errorf("backoff: got base %v and caps %v and %v, want 0 < base <= caps",
			p.BackoffBase, p.BackoffCap, p.VoidBackoffCap)
	}
	config := outbox.Config{
		CallTimeout: p.CallTimeout, SettleTimeout: p.SettleTimeout, Lease: p.Lease,
		Batch: p.Batch, PollInterval: p.PollInterval, BreakerStreak: p.BreakerStreak,
		Backoff: func(kind string) outbox.Backoff {
			if order.Command(kind) == order.Void {
				return outbox.Backoff{Base: p.BackoffBase, Cap: p.VoidBackoffCap}
			}
			return outbox.Backoff{Base: p.BackoffBase, Cap: p.BackoffCap}
		},
		LongestDelay: max(p.BackoffCap, p.VoidBackoffCap, dispatch.LongestRetryAfter),
	}
	return config, config.Validate(p.UnsafeShortLease)
}
