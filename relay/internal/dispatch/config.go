package dispatch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/trace"
)

// Config says how a Dispatcher goes about it. The first four fields are needed.
type Config struct {
	Timeout  time.Duration // what a command may take until it is answered or reported as silent
	Batch    int           // commands that are delivered at once
	Trust    Trust         // judges what paymentd tells of its database
	Registry prometheus.Registerer

	// Renew is the age at which a stream is left for another one; 0: 5 minutes. It is well below what servers and
	// proxies let a connection become, and the grace that they give it then.
	Renew time.Duration
	// Listen is how long a stream that was left is listened to for late decisions; 0: 30 s.
	Listen time.Duration
	// Traces makes the spans of deliveries; nil: none.
	Traces *trace.Tracer
}

func (c Config) renew() time.Duration {
	if c.Renew == 0 {
		return 5 * time.Minute
	}
	return c.Renew
}

func (c Config) listen() time.Duration {
	if c.Listen == 0 {
		return 30 * time.Second
	}
	return c.Listen
}

// patience is what the introduction, and opening a stream, may take: much longer than a command, or over a slow link
// none would ever be sent.
func (c Config) patience() time.Duration { return 10 * c.Timeout }
