package chaos

import "time"

// Pace is how fast the daemons are, and so how long faults have to last to matter.
type Pace struct {
	CallTimeout    time.Duration // RELAY_CALL_TIMEOUT
	SettleTimeout  time.Duration // RELAY_SETTLE_TIMEOUT
	Lease          time.Duration // RELAY_LEASE
	MaxAttempts    int           // RELAY_MAX_ATTEMPTS
	BackoffBase    time.Duration // RELAY_BACKOFF_BASE
	BackoffCap     time.Duration // RELAY_BACKOFF_CAP
	VoidBackoffCap time.Duration // RELAY_VOID_BACKOFF_CAP
	PollInterval   time.Duration // RELAY_POLL_INTERVAL
	CardTimeout    time.Duration // PAYMENTD_CARD_TIMEOUT
	Resend         time.Duration // RELAY_RESEND; much shorter than the default, or most of a run would be waiting
	ResendCap      time.Duration // RELAY_RESEND_CAP

	ShortDeadline time.Duration // ORDERD_ORDER_DEADLINE while orders are meant to miss it
	CancelWithin  time.Duration // customers change their minds within
	Drain         time.Duration // after the last fault every order is settled within
}

// Production is the pace of the daemons' defaults.
func Production() Pace {
	return Pace{
		CallTimeout: 2 * time.Second, SettleTimeout: 3 * time.Second, Lease: 10 * time.Second, MaxAttempts: 5,
		BackoffBase: 100 * time.Millisecond, BackoffCap: 5 * time.Second, VoidBackoffCap: time.Minute,
		PollInterval: time.Second, CardTimeout: 1500 * time.Millisecond,
		Resend: 3 * time.Second, ResendCap: 15 * time.Second,
		ShortDeadline: 3 * time.Second, CancelWithin: 3 * time.Second, Drain: 3 * time.Minute,
	}
}

// Quick is a few times faster, so that a short run sees leases end and attempts run out.
func Quick() Pace {
	return Pace{
		CallTimeout: time.Second, SettleTimeout: time.Second, Lease: 3 * time.Second, MaxAttempts: 5,
		BackoffBase: 20 * time.Millisecond, BackoffCap: 500 * time.Millisecond, VoidBackoffCap: time.Second,
		PollInterval: 200 * time.Millisecond, CardTimeout: 700 * time.Millisecond,
		Resend: time.Second, ResendCap: 3 * time.Second,
		ShortDeadline: 500 * time.Millisecond, CancelWithin: 300 * time.Millisecond, Drain: 90 * time.Second,
	}
}

// longestWait is the longest that a command may wait for its next attempt: a peer may ask for a minute, and so may the
// retry budget.
func (p Pace) longestWait() time.Duration {
	return max(time.Minute, p.VoidBackoffCap, p.ResendCap) + p.Lease
}

func (p Pace) env() []string {
	return []string{
		"RELAY_CALL_TIMEOUT=" + p.CallTimeout.String(), "RELAY_SETTLE_TIMEOUT=" + p.SettleTimeout.String(),
		"RELAY_LEASE=" + p.Lease.String(), "RELAY_BACKOFF_BASE=" + p.BackoffBase.String(),
		"RELAY_BACKOFF_CAP=" + p.BackoffCap.String(), "RELAY_VOID_BACKOFF_CAP=" + p.VoidBackoffCap.String(),
		"RELAY_POLL_INTERVAL=" + p.PollInterval.String(),
		"PAYMENTD_CARD_TIMEOUT=" + p.CardTimeout.String(),
		"RELAY_RESEND=" + p.Resend.String(), "RELAY_RESEND_CAP=" + p.ResendCap.String(),
	}
}
