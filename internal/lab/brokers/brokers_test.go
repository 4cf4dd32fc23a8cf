package brokers_test

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/slow"
)

// What was confirmed is there after a kill, at the same address, and gone after a wipe.
func TestAKilledBrokerComesBackWithWhatItHad(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		broker := brokertest.Start(t, kind)
		address := broker.URL()
		makeTopic(t, broker)
		broker.Kill()
		if answers(broker) {
			t.Error("a broker that was killed takes connections")
		}
		if err := broker.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if broker.URL() != address {
			t.Errorf("got %s after the restart, want %s", broker.URL(), address)
		}
		if !hasTopic(t, broker) {
			t.Error("what it had before it was killed is gone")
		}
		if err := broker.Wipe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if broker.URL() != address || hasTopic(t, broker) {
			t.Errorf("got %s after it was wiped, with the topic: %v; want %s without", broker.URL(),
				hasTopic(t, broker), address)
		}
	})
}

// makeTopic makes what a broker is to keep.
func makeTopic(t *testing.T, broker *brokers.Broker) {
	t.Helper()
	answer := jetStream(t, broker.URL(), "$JS.API.STREAM.CREATE.KEPT", `{"name":"KEPT","subjects":["kept"]}`)
	if strings.Contains(answer, `"error"`) {
		t.Fatal(answer)
	}
}

func hasTopic(t *testing.T, broker *brokers.Broker) bool {
	t.Helper()
	return !strings.Contains(jetStream(t, broker.URL(), "$JS.API.STREAM.INFO.KEPT", ""), `"error"`)
}

// answers reports whether somebody takes connections at a broker's address.
func answers(broker *brokers.Broker) bool {
	address, err := url.Parse(broker.URL())
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
		broker := brokertest.Start(t, kind)
		broker.Freeze()
		if !answers(broker) {
			t.Error("a frozen broker takes no connections")
		}
		broker.Thaw()
		makeTopic(t, broker)
		broker.Freeze()
		broker.Kill()
		if err := broker.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !hasTopic(t, broker) {
			t.Error("what it had before it was killed is gone")
		}
	})
}

func TestNothingIsLeftOfAClosedBroker(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		broker := brokertest.Start(t, kind)
		broker.Close()
		broker.Close()
		if err := syscall.Kill(broker.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("its process: got %v, want it gone", err)
		}
		if err := broker.Restart(t.Context()); !errors.Is(err, brokers.ErrClosed) {
			t.Errorf("start it again: got %v, want %v", err, brokers.ErrClosed)
		}
	})
}

// A port that somebody takes while the broker is down is waited for; that somebody else answers there is not enough.
func TestAnotherServerIsNotTakenForTheBroker(t *testing.T) {
	t.Parallel()
	slow.Test(t, "starts brokers")
	brokertest.Each(t, func(t *testing.T, kind string) {
		broker := brokertest.Start(t, kind)
		address, err := url.Parse(broker.URL())
		if err != nil {
			t.Fatal(err)
		}
		broker.Kill()
		stranger, err := net.Listen("tcp", address.Host)
		if err != nil {
			t.Fatal(err)
		}
		restarted := make(chan error, 1)
		go func() { restarted <- broker.Restart(t.Context()) }()
		for deadline := time.Now().Add(30 * time.Second); !saysTaken(t, broker) && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond) // between two looks at the log
		}
		stranger.Close()
		if err := <-restarted; err != nil {
			t.Errorf("got %v, want it started when the port was free", err)
		}
	})
}

// saysTaken reports whether a broker's log says that somebody else has its port.
func saysTaken(t *testing.T, broker *brokers.Broker) bool {
	t.Helper()
	log, err := os.ReadFile(broker.LogFile())
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
