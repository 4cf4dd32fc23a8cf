package main

import (
	"strings"
	"testing"

	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/slow"
)

// Topics that are missing are named, with what makes them; when they are made, all are told what they promise, and
// what is unsafe about them says what it costs.
func TestTheTopicsAreMadeAndLookedAt(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		output, code := overBroker(t, "check", server.URL())
		if code != 2 || !strings.Contains(output, "hosho.orders") || !strings.Contains(output, "sagactl broker setup") {
			t.Errorf("check before setup: got %d\n%s\nwant exit code 2, the topic, and what makes it", code, output)
		}
		for _, verb := range []string{"setup", "setup", "check"} {
			output, code := overBroker(t, verb, server.URL())
			for _, topic := range []string{"hosho.orders", "hosho.orders.dlq", "hosho.payments", "hosho.payments.dlq"} {
				if code != 0 || !strings.Contains("\n"+output, "\n"+topic+"\n  ") {
					t.Errorf("%s: got %d\n%s\nwant exit code 0 and %s", verb, code, output, topic)
				}
			}
			if !strings.Contains(output, "  unsafe: ") || !strings.Contains(output, "costs a resend, never money") {
				t.Errorf("%s: got\n%s\nwant what is unsafe about one server", verb, output)
			}
		}
	})
}

func overBroker(t *testing.T, verb, url string) (output string, code int) {
	t.Helper()
	cmd, _ := sagactl(t, "broker", verb, "--broker-url", url)
	text, err := cmd.CombinedOutput()
	return string(text), codeOf(err)
}
