package main

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"hosho/internal/order"
	"hosho/internal/outbox"
)

// defaults is the pace that a relay has without flags.
func defaults(t testing.TB, args ...string) pace {
	t.Helper()
	var cli commands
	p := program
	p.Name = "TEST_RELAY" // whose environment is empty
	parser, err := kong.New(&cli, p.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return cli.Serve.Pace
}

func TestTheDefaultPace(t *testing.T) {
	t.Parallel()
	want := pace{
		CallTimeout: 2 * time.Second, SettleTimeout: 3 * time.Second, Lease: 10 * time.Second,
		MaxAttempts: 5, Batch: 500,
		BackoffBase: 100 * time.Millisecond, BackoffCap: 5 * time.Second, VoidBackoffCap: time.Minute, BreakerStreak: 5,
		PollInterval: time.Second, VoidAlarm: 20, StuckAfter: order.StuckAfter, Wake: true,
	}
	if got := defaults(t); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	config, err := defaults(t).config()
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]outbox.Backoff{
		"CHARGE": {Base: 100 * time.Millisecond, Cap: 5 * time.Second},
		"VOID":   {Base: 100 * time.Millisecond, Cap: time.Minute},
	} {
		if got := config.Backoff(kind); got != want {
			t.Errorf("%s: got %+v, want %+v", kind, got, want)
		}
	}
	if got := defaults(t, "--no-wake"); got.Wake {
		t.Errorf("--no-wake: got %+v, want a relay that only polls", got)
	}
}

// A peer may ask for a minute, however short the relay's own waits are.
func TestTheLongestDelayCoversAMinute(t *testing.T) {
	t.Parallel()
	for voidCap, want := range map[time.Duration]time.Duration{time.Second: time.Minute, time.Hour: time.Hour} {
		p := quick()
		p.VoidBackoffCap = voidCap
		config, err := p.config()
		if err != nil || config.LongestDelay != want {
			t.Errorf("void backoff cap %v: got longest delay %v (%v), want %v", voidCap, config.LongestDelay, err, want)
		}
	}
}

func TestPacesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*pace)
		want   string // in the error; empty: allowed
	}{
		"lease = call + settle":      {func(p *pace) { p.Lease = p.CallTimeout + p.SettleTimeout }, "lease: got 5s"},
		"lease below, said unsafe":   {func(p *pace) { p.Lease, p.UnsafeShortLease = time.Millisecond, true }, ""},
		"lease just above":           {func(p *pace) { p.Lease = p.CallTimeout + p.SettleTimeout + 1 }, ""},
		"no lease, said unsafe":      {func(p *pace) { p.Lease, p.UnsafeShortLease = 0, true }, "lease: got 0s"},
		"no attempts":                {func(p *pace) { p.MaxAttempts = 0 }, "max attempts: got 0"},
		"one attempt":                {func(p *pace) { p.MaxAttempts = 1 }, ""},
		"no backoff":                 {func(p *pace) { p.BackoffBase = 0 }, "backoff: got base 0s"},
		"backoff cap below its base": {func(p *pace) { p.BackoffCap = p.BackoffBase - 1 }, "backoff: "},
		"void backoff cap below":     {func(p *pace) { p.VoidBackoffCap = p.BackoffBase - 1 }, "backoff: "},
		"caps at the base": {func(p *pace) {
			p.BackoffCap, p.VoidBackoffCap = p.BackoffBase, p.BackoffBase
		}, ""},
		"no batch":                      {func(p *pace) { p.Batch = 0 }, "batch: got 0"},
		"a batch that no message holds": {func(p *pace) { p.Batch = 1001 }, "batch: got 1001"},
		"the largest batch":             {func(p *pace) { p.Batch = 1000 }, ""},
		"no breaker":                    {func(p *pace) { p.BreakerStreak = 0 }, "breaker streak: got 0"},
		"no void alarm":                 {func(p *pace) { p.VoidAlarm = 0 }, "void alarm: got 0"},
		"stuck at once":                 {func(p *pace) { p.StuckAfter = 0 }, "stuck after: got 0s"},
		"no call timeout":               {func(p *pace) { p.CallTimeout = 0 }, "call timeout: got 0s"},
		"no settle timeout":             {func(p *pace) { p.SettleTimeout = -1 }, "settle timeout: got -1ns"},
		"no poll interval":              {func(p *pace) { p.PollInterval = 0 }, "poll interval: got 0s"},
	} {
		p := defaults(t)
		test.change(&p)
		_, err := p.config()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", name, err, test.want)
		}
	}
}
