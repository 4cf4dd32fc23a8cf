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
	CallTimeout   time.Duration `default:"2s"  min:"10ms" max:"10m" env:"${env}_CALL_TIMEOUT"   help:"${call_timeout}"`
	SettleTimeout time.Duration `default:"3s"  min:"10ms" max:"10m" env:"${env}_SETTLE_TIMEOUT" help:"${settling}"`
	Lease         time.Duration `default:"10s" min:"10ms" max:"1h"  env:"${env}_LEASE"          help:"${lease}"`

	MaxAttempts int `default:"5"   min:"1" max:"1000" env:"${env}_MAX_ATTEMPTS" help:"${max_attempts}"`
	Batch       int `default:"500" min:"1" max:"1000" env:"${env}_BATCH"        help:"${batch}"`

	BackoffBase    time.Duration `default:"100ms" min:"1ms" max:"1m" env:"${env}_BACKOFF_BASE"     help:"${base}"`
	BackoffCap     time.Duration `default:"5s"    min:"1ms" max:"1h" env:"${env}_BACKOFF_CAP"      help:"${cap}"`
	VoidBackoffCap time.Duration `default:"60s"   min:"1ms" max:"1h" env:"${env}_VOID_BACKOFF_CAP" help:"${void_cap}"`

	BreakerStreak          int `default:"5" min:"1" max:"10000" env:"${env}_BREAKER_STREAK" help:"${streak}"`
	BreakerAmbiguousStreak int `default:"0" min:"0" max:"10000" env:"${env}_BREAKER_AMBIGUOUS_STREAK" help:"${unsure}"`

	Resend    time.Duration `default:"30s" min:"100ms" max:"1h" env:"${env}_RESEND"     help:"${resend}"`
	ResendCap time.Duration `default:"10m" min:"100ms" max:"1h" env:"${env}_RESEND_CAP" help:"${resend_cap}"`

	PollInterval time.Duration `default:"1s" min:"10ms" max:"1m" env:"${env}_POLL_INTERVAL" help:"${poll}"`

	VoidAlarm  int           `default:"20"  min:"1"  max:"1000000" env:"${env}_VOID_ALARM"  help:"${void_alarm}"`
	StuckAfter time.Duration `default:"15m" min:"1s" max:"720h"    env:"${env}_STUCK_AFTER" help:"${stuck_after}"`

	UnsafeShortLease bool `               env:"${env}_UNSAFE_SHORT_LEASE" help:"${unsafe_short_lease}"`
	Wake             bool `default:"true" env:"${env}_WAKE"               help:"${wake}"               negatable:""`

	renew, listen time.Duration // of tests; 0: as dispatch has them
}

var paceHelp = map[string]string{
	"call_timeout": "How long paymentd may take to answer one command.",
	"settling":     "How long applying replies may take.",
	"lease":        "How long a claim lasts; longer than the two timeouts together.",
	"max_attempts": "Ambiguous replies after which a charge is given up.",
	"batch":        "Commands claimed, sent and settled at once; 1 to 1000.",
	"base":         "Bound of the first wait before a retry; it doubles each time.",
	"cap":          "Longest wait before a charge is tried again.",
	"void_cap":     "Longest wait before a void is tried again.",
	"streak":       "Orders in a row that fail for paymentd's reasons before only one a second is tried.",
	"unsure": "Orders in a row with ambiguous replies before only one a second is tried, " +
		"and such replies spend no attempt; 0: never.",
	"resend": "Over a broker: how long a command that was handed over waits for its outcome " +
		"before it is sent again; it doubles each time.",
	"resend_cap": "Longest wait before a command that was handed over is sent again.",
	"poll":       "How often the outbox is looked at when nothing wakes the relay.",
	"void_alarm": "Failures after which a void calls for a person, " +
		"and again each time that they have doubled.",
	"stuck_after": "An order under way that makes no progress for so long is listed as stuck: " +
		"after its deadline, or while nobody knows whether its money is held.",
	"unsafe_short_lease": "Allow a lease that may end before its command is settled. " +
		"For experiments: commands are then sent twice.",
	"wake": "Keep a connection that LISTENs for new orders. Without it the relay only polls.",
}

// config checks that the flags fit together and makes the worker's configuration of them.
func (p pace) config() (outbox.Config, error) {
	if p.BackoffCap < p.BackoffBase || p.VoidBackoffCap < p.BackoffBase {
		return outbox.Config{}, fmt.Errorf("backoff: got base %v and caps %v and %v, want base <= caps",
			p.BackoffBase, p.BackoffCap, p.VoidBackoffCap)
	}
	if p.Resend > p.ResendCap {
		return outbox.Config{}, fmt.Errorf("resend: got %v and a cap of %v, want resend <= cap", p.Resend, p.ResendCap)
	}
	config := outbox.Config{
		CallTimeout: p.CallTimeout, SettleTimeout: p.SettleTimeout, Lease: p.Lease,
		Batch: p.Batch, PollInterval: p.PollInterval, BreakerStreak: p.BreakerStreak,
		AmbiguousStreak: p.BreakerAmbiguousStreak,
		Backoff: func(kind string) outbox.Backoff {
			if order.Command(kind) == order.Void {
				return outbox.Backoff{Base: p.BackoffBase, Cap: p.VoidBackoffCap}
			}
			return outbox.Backoff{Base: p.BackoffBase, Cap: p.BackoffCap}
		},
		LongestDelay: max(p.BackoffCap, p.VoidBackoffCap, dispatch.LongestRetryAfter),
		Resend:       p.resendAfter, LongestResend: p.ResendCap,
	}
	return config, config.Validate(p.UnsafeShortLease)
}

// resendAfter returns how long a command waits that was handed over so often.
func (p pace) resendAfter(sends int) time.Duration {
	wait := p.Resend
	for n := 1; n < sends && wait < p.ResendCap; n++ {
		wait *= 2
	}
	return min(wait, p.ResendCap)
}
