package main

import (
	"path/filepath"
	"strings"
	"testing"

	"hosho/internal/authority"
	"hosho/internal/lab/brokers"
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
		if code != 1 || !strings.Contains(output, "hosho.orders.dlq") ||
			!strings.Contains(output, "hosho.payments") || !strings.Contains(output, "sagactl broker setup") {
			t.Errorf("check before setup: got %d\n%s\nwant exit code 1, the topics, and what makes them", code, output)
		}
		for _, verb := range []string{"setup", "setup", "check"} {
			output, code := overBroker(t, verb, server.URL())
			for _, topic := range []string{"hosho.orders", "hosho.orders.dlq", "hosho.payments", "hosho.payments.dlq"} {
				if code != 0 || !strings.Contains("\n"+output, "\n"+topic+"\n  ") {
					t.Errorf("%s: got %d\n%s\nwant exit code 0 and %s", verb, code, output, topic)
				}
			}
			if !strings.Contains(output, "  group paymentd: 0 events wait\n") {
				t.Errorf("%s: got\n%s\nwant how many events wait for paymentd", verb, output)
			}
			if !strings.Contains(output, "  unsafe: ") || !strings.Contains(output, "costs a resend, never money") {
				t.Errorf("%s: got\n%s\nwant what is unsafe about one server", verb, output)
			}
		}
	})
}

// Nobody is there. It says what it waits for, why, and how long at most, and at the end what to do.
func TestABrokerThatIsNotThereIsWaitedForAloud(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"setup", "check"} {
		for _, scheme := range []string{"nats", "amqp", "kafka"} {
			t.Run(verb+" "+scheme, func(t *testing.T) {
				t.Parallel()
				output, code := overBroker(t, verb, scheme+"://127.0.0.1:1", "--wait", "1500ms")
				first, last, _ := strings.Cut(output, "\n")
				if !strings.HasPrefix(first, "sagactl: waiting for 127.0.0.1:1, 1.5s at most (--wait): ") {
					t.Errorf("got first %q, want who is waited for, how long at most, and why", first)
				}
				for _, want := range []string{
					"connection refused", "start it, or look at the broker URL", "gave up after 1.5s (--wait)\n",
				} {
					if code != 2 || strings.Count(last, "\n") != 1 || !strings.Contains(last, want) {
						t.Errorf("got last %q, exit code %d, want one line with %q, and 2", last, code, want)
					}
				}
			})
		}
	}
}

// A broker that is started meanwhile gets its topics.
func TestABrokerThatComesLaterGetsItsTopics(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		server.Kill()
		cmd, _ := sagactl(t, "broker", "setup", "--wait", "2m", "--broker-url", server.URL())
		waiting := newWatcher("sagactl: waiting for ")
		var output strings.Builder
		cmd.Stdout, cmd.Stderr = &output, waiting
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		waiting.await(t, exited)
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-exited; err != nil || !strings.HasPrefix(output.String(), "hosho.orders\n") {
			t.Errorf("got %v\n%s%s\nwant what the topics promise", err, output.String(), waiting.text())
		}
	})
}

// Who gives another password than the broker has is told so at once: that is nothing to wait for.
func TestWhoIsNotLetInByABrokerIsToldAtOnce(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		if _, err := authority.Fill(dir, []string{"broker"}, []string{"127.0.0.1"}); err != nil {
			t.Fatal(err)
		}
		ca, own := filepath.Join(dir, authority.CAFile), filepath.Join(dir, "broker")
		server := brokertest.StartSecured(t, kind, &brokers.Secured{
			Cert: filepath.Join(own, authority.CertFile), Key: filepath.Join(own, authority.KeyFile), CA: ca,
			User: "relay", Password: "hunter2",
		})
		url := strings.Replace(server.URL(), "://", "://relay:hunter3@", 1)
		output, code := overBroker(t, "check", url, "--broker-tls-ca", ca, "--wait", "20m")
		if code != 2 || !strings.Contains(output, "look at the user and the password") ||
			strings.Contains(output, "gave up after") {
			t.Errorf("got %d\n%s\nwant exit code 2, and what to look at", code, output)
		}
	})
}

func overBroker(t *testing.T, verb, url string, flags ...string) (output string, code int) {
	t.Helper()
	cmd, _ := sagactl(t, append([]string{"broker", verb, "--broker-url", url}, flags...)...)
	text, err := cmd.CombinedOutput()
	return string(text), codeOf(err)
}
