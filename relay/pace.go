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
	CallTimeout   time.Duration `default:"2s"  env:"${env}_CALL_TIMEOUT"   help:"${call_timeout}"`
	SettleTimeout time.Duration `default:"3s"  env:"${env}_SETTLE_TIMEOUT" help:"How long applying replies may take."`
	Lease         time.Duration `default:"10s" env:"${env}_LEASE"          help:"${lease}"`

	MaxAttempts int `default:"5"   env:"${env}_MAX_ATTEMPTS" help:"${max_attempts}"`
	Batch       int `default:"500" env:"${env}_BATCH"        help:"${batch}"`

	BackoffBase    time.Duration `default:"100ms" env:"${env}_BACKOFF_BASE"     help:"${backoff_base}"`
	BackoffCap     time.Duration `default:"5s"    env:"${env}_BACKOFF_CAP"      help:"${backoff_cap}"`
	VoidBackoffCap time.Duration `default:"60s"   env:"${env}_VOID_BACKOFF_CAP" help:"${void_backoff_cap}"`
	BreakerStreak  int           `default:"5"     env:"${env}_BREAKER_STREAK"   help:"${breaker_streak}"`
	PollInterval   time.Duration `default:"1s"    env:"${env}_POLL_INTERVAL"    help:"${poll_interval}"`

	VoidAlarm  int           `default:"20"  env:"${env}_VOID_ALARM"  help:"${void_alarm}"`
	StuckAfter time.Duration `default:"15m" env:"${env}_STUCK_AFTER" help:"${stuck_after}"`

	UnsafeShortLease bool `               env:"${env}_UNSAFE_SHORT_LEASE" help:"${unsafe_short_lease}"`
	Wake             bool `default:"true" env:"${env}_WAKE"               help:"${wake}"               negatable:""`
}

var paceHelp = map[string]string{
	"call_timeout":     "How long paymentd may take to answer one command.",
	"lease":            "How long a claim lasts; longer than the two timeouts together.",
	"max_attempts":     "Ambiguous replies after which a charge is given up.",
	"batch":            "Commands claimed, sent and settled at once; 1 to 1000.",
	"backoff_base":     "Bound of the first wait before a retry; it doubles each time.",
	"backoff_cap":      "Longest wait before a charge is tried again.",
	"void_backoff_cap": "Longest wait before a void is tried again.",
	"breaker_streak":   "Orders in a row that fail for paymentd's reasons before only one a second is tried.",
	"poll_interval":    "How often the outbox is looked at when nothing wakes the relay.",
	"void_alarm": "Claims in vain after which a void calls for a person, " +
		"and again each time that they have doubled.",
	"stuck_after": "An order under way that makes no progress for so long is listed as stuck: " +
		"after its deadline, or while nobody knows whether its money is held.",
	"unsafe_short_lease": "Allow a lease that may end before its command is settled. " +
		"For experiments: commands are then sent twice.",
	"wake": "Keep a connection that LISTENs for new orders. Without it the relay only polls.",
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
