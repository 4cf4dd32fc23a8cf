package outbox

import (
	"testing"
	"time"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Config)
		unsafe bool
		want   string
	}{
		{"good", func(*Config) {}, false, ""},
		{"no call timeout", func(c *Config) { c.CallTimeout = 0 }, false, "call timeout: got 0s, want more than 0"},
		{
			"no settle timeout", func(c *Config) { c.SettleTimeout = 0 }, false,
			"settle timeout: got 0s, want more than 0",
		},
		{"no lease", func(c *Config) { c.Lease = 0 }, true, "lease: got 0s, want more than 0"},
		{
			"no poll interval", func(c *Config) { c.PollInterval = -1 }, false,
			"poll interval: got -1ns, want more than 0",
		},
		{"no longest delay", func(c *Config) { c.LongestDelay = 0 }, false, "longest delay: got 0s, want more than 0"},
		{"no batch", func(c *Config) { c.Batch = 0 }, false, "batch: got 0, want 1 to 1000"},
		{"large batch", func(c *Config) { c.Batch = 1001 }, false, "batch: got 1001, want 1 to 1000"},
		{"no streak", func(c *Config) { c.BreakerStreak = 0 }, false, "breaker streak: got 0, want at least 1"},
		{"no backoff", func(c *Config) { c.Backoff = nil }, false, "backoff: got none"},
		{
			"short lease", func(c *Config) { c.Lease = 5 * time.Second }, false,
			"lease: got 5s, want more than call timeout + settle timeout = 5s, " +
				"or messages are delivered twice as a rule",
		},
		{"short lease, on purpose", func(c *Config) { c.Lease = time.Second }, true, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := patient()
			c.CallTimeout, c.SettleTimeout, c.Lease = 2*time.Second, 3*time.Second, 10*time.Second
			test.change(&c)
			got := ""
			if err := c.Validate(test.unsafe); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
