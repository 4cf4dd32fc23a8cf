package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/broker/connect"
	"hosho/internal/order"
	"hosho/internal/outbox"
)

// defaults is the pace that a relay has without flags.
func defaults(t testing.TB, args ...string) pace {
	t.Helper()
	p, err := parse(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t testing.TB, args ...string) (pace, error) {
	t.Helper()
	var cli commands
	_, err := parser(t, &cli).Parse(append([]string{"serve"}, args...))
	return cli.Serve.Pace, err
}

func parser(t testing.TB, cli *commands) *kong.Kong {
	t.Helper()
	p := program
	p.Name = "TEST_RELAY" // whose environment is empty
	parser, err := kong.New(cli, p.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

func TestTheDefaultPace(t *testing.T) {
	t.Parallel()
	want := pace{
		CallTimeout: 2 * time.Second, SettleTimeout: 3 * time.Second, Lease: 10 * time.Second,
		MaxAttempts: 5, Batch: 500,
		BackoffBase: 100 * time.Millisecond, BackoffCap: 5 * time.Second, VoidBackoffCap: time.Minute, BreakerStreak: 5,
		Resend: 30 * time.Second, ResendCap: 10 * time.Minute,
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
		"backoff cap below its base": {func(p *pace) { p.BackoffCap = p.BackoffBase - 1 }, "backoff: "},
		"void backoff cap below":     {func(p *pace) { p.VoidBackoffCap = p.BackoffBase - 1 }, "backoff: "},
		"caps at the base": {func(p *pace) {
			p.BackoffCap, p.VoidBackoffCap = p.BackoffBase, p.BackoffBase
		}, ""},
		"resend cap below its resend":   {func(p *pace) { p.ResendCap = p.Resend - 1 }, "resend: got 30s"},
		"resend cap at its resend":      {func(p *pace) { p.ResendCap = p.Resend }, ""},
		"no batch":                      {func(p *pace) { p.Batch = 0 }, "batch: got 0"},
		"a batch that no message holds": {func(p *pace) { p.Batch = 1001 }, "batch: got 1001"},
		"the largest batch":             {func(p *pace) { p.Batch = 1000 }, ""},
		"no breaker":                    {func(p *pace) { p.BreakerStreak = 0 }, "breaker streak: got 0"},
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

// A relay that reaches nobody says that it is ready, and delivers nothing.
func TestATargetThatCanNeverWorkIsRefused(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"", "http://127.0.0.1:50052", "127.0.0.1", ":50052", " 127.0.0.1:50052", "a:b"} {
		_, err := parse(t, "--payment-target="+target)
		if want := "--payment-target: got "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", target, err, want)
		}
	}
	if _, err := parse(t, "--payment-target=dns:///paymentd:50052"); err != nil {
		t.Error(err)
	}
}

// Nobody means a lease of a nanosecond, nor a call of a thousand hours, and what overflows is no smaller number.
func TestNumbersThatNobodyMeansAreRefused(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--call-timeout=1000h":       "got 1000h0m0s, want 10ms to 10m",
		"--settle-timeout=-3s":       "got -3s, want 10ms to 10m",
		"--lease=1ns":                "got 1ns, want 10ms to 1h",
		"--lease=10":                 "missing unit",
		"--max-attempts=0":           "got 0, want 1 to 1000",
		"--batch=0":                  "got 0, want 1 to 1000",
		"--batch=1001":               "got 1001, want 1 to 1000",
		"--batch=-500":               "got -500, want 1 to 1000",
		"--backoff-base=0s":          "got 0s, want 1ms to 1m",
		"--backoff-cap=9999999h":     "invalid duration",
		"--void-backoff-cap=2h":      "got 2h0m0s, want 1ms to 1h",
		"--breaker-streak=0":         "got 0, want 1 to 10000",
		"--poll-interval=1h":         "got 1h0m0s, want 10ms to 1m",
		"--void-alarm=0":             "got 0, want 1 to 1000000",
		"--void-alarm=4611686018427": "got 4611686018427, want 1 to 1000000",
		"--stuck-after=0s":           "got 0s, want 1s to 720h",
		"--stuck-after=":             "invalid duration",
	} {
		if _, err := parse(t, arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", arg, err, want)
		}
	}
	for _, arg := range []string{"--lease=1h", "--max-attempts=1", "--batch=1000", "--backoff-base=1ms"} {
		if _, err := parse(t, arg); err != nil {
			t.Errorf("%s: got error %v, want it allowed", arg, err)
		}
	}
}

// A number that is added later has bounds, too.
func TestEveryNumberHasBounds(t *testing.T) {
	t.Parallel()
	err := kong.Visit(parser(t, &commands{}).Model.Node, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && flag.Target.CanInt() && flag.Name != "log-level" {
			if !flag.Tag.Has("min") || !flag.Tag.Has("max") {
				t.Errorf("--%s has no min and max", flag.Name)
			}
		}
		return next(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSendsGrowApart(t *testing.T) {
	t.Parallel()
	p := defaults(t)
	for sends, want := range map[int]time.Duration{
		1: 30 * time.Second, 2: time.Minute, 5: 8 * time.Minute, 6: 10 * time.Minute, 1_000_000: 10 * time.Minute,
	} {
		if got := p.resendAfter(sends); got != want {
			t.Errorf("after %d sends: got %v, want %v", sends, got, want)
		}
	}
}

// Where a flag would do nothing, or two say different things, the relay does not start.
func TestATransportGoesWithItsBroker(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		given transport
		want  string
	}{
		{transport{Transport: "nats"}, "no broker given"},
		{
			transport{Transport: "kafka", Flags: connect.Flags{BrokerURL: "nats://127.0.0.1:4222"}},
			"got a --broker-url of nats, want one that begins with kafka:// or kafkas://",
		},
		{transport{Transport: "grpc", Flags: connect.Flags{BrokerURL: "nats://127.0.0.1:4222"}}, "--transport is grpc"},
		{transport{Transport: "nats", Flags: connect.Flags{BrokerURL: "nats://10.0.0.1:4222"}}, "off loopback"},
	} {
		test.given.PaymentTarget, test.given.BrokerPrefix = "127.0.0.1:1", "hosho"
		_, err := test.given.open(nil, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.given, err, test.want)
		}
	}
}
