package hostile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"hosho/internal/lab/hostile"
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

// nothing is the first row: what others have while nobody attacks.
var nothing = hostile.Attack{Name: "nothing", Run: func(ctx context.Context, _ string) error {
	<-ctx.Done()
	return nil
}}
