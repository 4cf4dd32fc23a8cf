package brokers_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/slow"
	"hosho/internal/wait"
)

// What was confirmed is there after a kill, at the same address, and gone after a wipe.
func TestAKilledBrokerComesBackWithWhatItHad(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		address := server.URL()
		makeTopics(t, server)
		server.Kill()
		if answers(server) {
			t.Error("a broker that was killed takes connections")
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if server.URL() != address {
			t.Errorf("got %s after the restart, want %s", server.URL(), address)
		}
		if !hasTopics(t, server) {
			t.Error("what it had before it was killed is gone")
		}
		if err := server.Wipe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if server.URL() != address || hasTopics(t, server) {
			t.Errorf("got %s after it was wiped, with the topic: %v; want %s without", server.URL(),
				hasTopics(t, server), address)
		}
	})
}

// plan is what a broker is to keep.
func plan(t *testing.T) broker.Plan {
	t.Helper()
	plan, err := broker.PlanOf("kept", broker.MinRetention, 1)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func makeTopics(t *testing.T, server *brokers.Broker) {
	t.Helper()
	if _, err := connected(t, server).Declare(t.Context(), plan(t)); err != nil {
		t.Fatal(err)
	}
}

func hasTopics(t *testing.T, server *brokers.Broker) bool {
	t.Helper()
	_, err := connected(t, server).Check(t.Context(), plan(t))
	return err == nil
}

func connected(t *testing.T, server *brokers.Broker) broker.Broker {
	t.Helper()
	flags := connect.Flags{BrokerURL: server.URL(), BrokerPrefix: "kept"}
	b, err := flags.Open(t.Name(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// answers reports whether somebody takes connections at a broker's address.
func answers(server *brokers.Broker) bool {
	address, err := url.Parse(server.URL())
	if err != nil {
		return false
	}
	conn, err := net.Dial("tcp", address.Host)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// A frozen broker has its connections and says nothing; it is killed like another.
func TestAFrozenBrokerIsThereAndSaysNothing(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		server.Freeze()
		if !answers(server) {
			t.Error("a frozen broker takes no connections")
		}
		server.Thaw()
		makeTopics(t, server)
		server.Freeze()
		server.Kill()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !hasTopics(t, server) {
			t.Error("what it had before it was killed is gone")
		}
	})
}

func TestNothingIsLeftOfAClosedBroker(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		dir := filepath.Dir(server.LogFile())
		if len(processesIn(t, dir)) == 0 && runtime.GOOS == "linux" {
			t.Fatal("no process of it is there")
		}
		server.Close()
		server.Close()
		for deadline := time.Now().Add(10 * time.Second); ; {
			left := processesIn(t, dir)
			if len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("still there: %v", left)
			}
		}
		if err := server.Restart(t.Context()); !errors.Is(err, brokers.ErrClosed) {
			t.Errorf("start it again: got %v, want %v", err, brokers.ErrClosed)
		}
	})
}

// processesIn returns the processes that work in a folder, where the system tells it.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && cwd == dir {
			found = append(found, link)
		}
	}
	return found
}

// A port that somebody takes while the broker is down is waited for; that somebody else answers there is not enough.
func TestAnotherServerIsNotTakenForTheBroker(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		server := brokertest.Start(t, kind)
		address, err := url.Parse(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		server.Kill()
		stranger, err := net.Listen("tcp", address.Host)
		if err != nil {
			t.Fatal(err)
		}
		restarted := make(chan error, 1)
		go func() { restarted <- server.Restart(t.Context()) }()
		looking, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for !saysTaken(t, server) && looking.Err() == nil {
			wait.For(looking, 10*time.Millisecond)
		}
		stranger.Close()
		if err := <-restarted; err != nil {
			t.Errorf("got %v, want it started when the port was free", err)
		}
	})
}

// saysTaken reports whether a broker's log says that somebody else has its port.
func saysTaken(t *testing.T, server *brokers.Broker) bool {
	t.Helper()
	log, err := os.ReadFile(server.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(log, []byte("already in use")) || bytes.Contains(log, []byte("eaddrinuse"))
}

func TestWhatIsNoBrokerIsNamed(t *testing.T) {
	t.Parallel()
	_, err := brokers.Start(t.Context(), brokers.Config{Kind: "pigeon", Dir: filepath.Join(t.TempDir(), "x")})
	if err == nil || !strings.Contains(err.Error(), `broker: got "pigeon", want one of nats`) {
		t.Errorf("got %v, want an error that names the kinds", err)
	}
}
