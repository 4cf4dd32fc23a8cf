package hostile_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hosho/internal/lab/hostile"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// Each hostile client by itself, against each daemon that it is meant for. While it is at it, others are served as
// ever, and the daemon stays small; when it has gone, nothing of it is left; and while it is at it again, the daemon
// stops. The table is printed.
func TestHostileClientsOneByOne(t *testing.T) {
	slow.Long(t, "attacks each daemon in each way, for seconds each")
	s := start(t)
	if err := hostile.LargeOrders(t.Context(), s.Orderd.Address, 1000); err != nil {
		t.Fatal(err)
	}
	table := []string{heading()}
	for _, daemon := range s.Daemons() {
		for _, attack := range append([]hostile.Attack{nothing}, hostile.All()...) {
			if attack.On != nil && !slices.Contains(attack.On, daemon.Name) {
				continue
			}
			t.Run(daemon.Name+"/"+attack.Name, func(t *testing.T) {
				r := measure(t, daemon, attack, 3*time.Second)
				t.Log(r)
				table = append(table, r.String())
				r.check(t)
			})
		}
	}
	t.Log("\n" + strings.Join(table, "\n"))
}

// Hostile clients of many kinds at once, against all three daemons. Each daemon stays small and loses no other client's
// call, and stops when it is told to.
func TestDaemonsLiveThroughHostileClientsOfManyKinds(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	customers := map[*stack.Process]*customer{}
	for _, daemon := range s.Daemons() {
		c := newCustomer(t, daemon)
		customers[daemon] = c
		for _, attack := range hostile.All() {
			if slices.Contains(together[daemon.Name], attack.Name) {
				defer begin(t, attack, daemon.Address)()
			}
		}
		all.Go(func() { c.run(ctx) })
	}
	all.Wait()
	for daemon, c := range customers {
		if got := peak(t, daemon); got > mostMemory {
			t.Errorf("%s: got a peak of %d MB, want at most %d", daemon.Name, got>>20, mostMemory>>20)
		}
		for _, err := range c.errs {
			t.Errorf("%s: a call of somebody else: %v", daemon.Name, err)
		}
		t.Logf("%s: %d MB at most; %d calls of others, p99 %v", daemon.Name, peak(t, daemon)>>20, len(c.took), c.p99())
	}
}

// together is what attacks each daemon at once.
var together = map[string][]string{
	"orderd":   {"headers", "slow-headers", "unread-watches"},
	"paymentd": {"unread", "streams", "slow-preface"},
	"relay":    {"header-bomb", "unread-reflection", "garbage"},
}

// nothing is the first row: what others have while nobody attacks.
var nothing = hostile.Attack{Name: "nothing", Run: func(ctx context.Context, _ string) error {
	<-ctx.Done()
	return nil
}}
