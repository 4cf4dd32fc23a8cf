package connect_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers/brokertest"
)

// At the start the log says of each topic what it can promise, and what its broker may lose.
func TestTheLogSaysWhatTheTopicsPromise(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		c := makeCorner(t, kind)
		var text bytes.Buffer
		connect.Tell(bound(t), c, c.prefix, slog.New(slog.NewTextHandler(&text, nil)))
		for _, topic := range c.plan.Topics {
			if n := strings.Count(text.String(), "name="+topic.Name+" "); n != 2 {
				t.Errorf("got %d lines of %s, want its facts and what is unsafe:\n%s", n, topic.Name, text.String())
			}
		}
	})
}
