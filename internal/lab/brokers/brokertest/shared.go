package brokertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hosho/internal/lab/brokers"
	"hosho/internal/proc"
)

// shared are the brokers that all tests of this binary use: RabbitMQ and Kafka take seconds to start.
var shared struct {
	sync.Mutex
	folder *proc.Folder // nil unless Main runs the tests
	all    map[string]*brokers.Broker
}

// Main runs the tests, ends the shared brokers and exits; the tests have also failed when a goroutine is left.
func Main(m *testing.M) {
	proc.Isolate()
	code, err := run(m)
	if err == nil && code == 0 {
		err = goleak.Find(goleak.IgnoreTopFunction("hosho/internal/crew.(*crew).work")) // it waits for what is next
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "brokertest:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if shared.folder, err = proc.NewFolder("", "brokers"); err != nil {
		return 1, err
	}
	shared.all = map[string]*brokers.Broker{}
	code = m.Run()
	for _, broker := range shared.all {
		broker.Close()
	}
	return code, shared.folder.Remove()
}

// Shared returns a broker that the tests of this binary share, each with topics of its own. Nobody may stop it.
func Shared(t testing.TB, kind string) *brokers.Broker {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.folder == nil {
		t.Fatal("nobody would end the broker: let TestMain call brokertest.Main")
	}
	broker := shared.all[kind]
	if broker == nil {
		// Not the context of the test that happens to be first: the others depend on it too.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		var err error
		broker, err = brokers.Start(ctx, brokers.Config{
			Kind: kind, Dir: filepath.Join(shared.folder.Path(), kind), Progress: func(step string) { t.Log(step) },
		})
		if err != nil {
			t.Fatal(err)
		}
		shared.all[kind] = broker
	}
	return broker
}
