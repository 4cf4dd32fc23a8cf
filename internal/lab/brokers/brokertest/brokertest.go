// Package brokertest gives tests brokers: real ones, as child processes.
//
// Its promise: a test over brokers runs over each that HOSHO_TEST_BROKERS names, and fails where the machine does not
// have one of them. Without it that is NATS alone, which needs nothing installed.
package brokertest

import (
	"os"
	"slices"
	"strings"
	"testing"

	"hosho/internal/lab/brokers"
)

// Variable names the brokers to test over, with commas between: "nats,rabbitmq".
const Variable = "HOSHO_TEST_BROKERS"

// Kinds returns the kinds of brokers to test over.
func Kinds(t testing.TB) []string {
	t.Helper()
	named := os.Getenv(Variable)
	if named == "" {
		return []string{brokers.NATS}
	}
	kinds := strings.Split(named, ",")
	for _, kind := range kinds {
		if !slices.Contains(brokers.Kinds(), kind) {
			t.Fatalf("%s: got %q in it, want some of %s", Variable, kind, strings.Join(brokers.Kinds(), ","))
		}
	}
	return kinds
}

// Each runs a test over each kind of broker.
func Each(t *testing.T, test func(t *testing.T, kind string)) {
	t.Helper()
	for _, kind := range Kinds(t) {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

// Start starts a broker of a test's own, which is empty.
func Start(t testing.TB, kind string) *brokers.Broker {
	t.Helper()
	return StartSecured(t, kind, nil)
}

// StartSecured starts one that talks over TLS, with those who say who they are.
func StartSecured(t testing.TB, kind string, secured *brokers.Secured) *brokers.Broker {
	t.Helper()
	broker, err := brokers.Start(t.Context(), brokers.Config{
		Kind: kind, Dir: t.TempDir(), Secured: secured, Progress: func(step string) { t.Log(step) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker
}
