package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/stack"
	"hosho/internal/wait"
)

// meanwhile is what others feel of an overload.
type meanwhile struct {
	took    []time.Duration // by reads and cancellations
	failure error           // one of theirs
	memory  int64           // that orderd took at most, in bytes
}

const askPause = 50 * time.Millisecond

// askMeanwhile has others read their orders, and cancel what was ordered before, until the function that it returns is
// called.
func (s *system) askMeanwhile(ctx context.Context, d *door) func() meanwhile {
	var m meanwhile
	asking, enough := context.WithCancel(ctx)
	var others sync.WaitGroup
	others.Go(func() {
		for wait.For(asking, askPause) {
			made, err := s.client.ListOrders(asking, &orderv1.ListOrdersRequest{PageSize: 1})
			if err != nil || len(made.GetOrders()) == 0 {
				m.failed(asking, err)
				continue
			}
			id := made.GetOrders()[0].GetOrderId()
			for _, ask := range []func() error{
				func() error { _, err := s.client.GetOrder(asking, &orderv1.GetOrderRequest{OrderId: id}); return err },
				func() error {
					_, err := s.client.CancelOrder(asking, &orderv1.CancelOrderRequest{OrderId: id})
					return err
				},
			} {
				began := time.Now()
				if err := ask(); err != nil {
					m.failed(asking, err)
					continue
				}
				m.took = append(m.took, time.Since(began))
			}
			if memory, err := metric(asking, s.Orderd, "process_resident_memory_bytes"); err == nil {
				m.memory = max(m.memory, int64(memory))
			}
		}
	})
	return func() meanwhile {
		enough()
		others.Wait()
		return m
	}
}

func (m *meanwhile) spread() Spread { return spreadOf(m.took) }

// add takes in what was felt another time.
func (m *meanwhile) add(other meanwhile) {
	m.took = append(m.took, other.took...)
	m.memory = max(m.memory, other.memory)
	if other.failure != nil {
		m.failure = other.failure
	}
}

func (m *meanwhile) failed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		m.failure = err
	}
}

// metric reads a number from a daemon's /metrics, NaN when it has none of the name.
func metric(ctx context.Context, p *stack.Process, name string) (float64, error) {
	found := math.NaN()
	err := metrics(ctx, p, func(got string, value float64) {
		if got == name {
			found = value
		}
	})
	return found, err
}

// metrics tells each number of a daemon's /metrics, by its name and labels.
func metrics(ctx context.Context, p *stack.Process, tell func(name string, value float64)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.AdminAddress+"/metrics", nil)
	if err != nil {
		return err
	}
	request.Close = true // the next answer may be another process's
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s for its metrics: %w", p.Name, err)
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		var value float64
		if at < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		if _, failed := fmt.Sscan(lines.Text()[at+1:], &value); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		tell(lines.Text()[:at], value)
	}
	return errors.Join(err, lines.Err())
}

// refusals is how long a daemon took to refuse calls: how many were refused within each bound, in seconds.
type refusals map[float64]float64

func refusalsOf(ctx context.Context, p *stack.Process) (refusals, error) {
	found := refusals{}
	err := metrics(ctx, p, func(name string, value float64) {
		labels, is := strings.CutPrefix(name, "hosho_rpc_refusal_seconds_bucket")
		if !is {
			return
		}
		_, bound, _ := strings.Cut(labels, `le="`)
		le := math.Inf(1)
		if _, err := fmt.Sscanf(bound, `%g"`, &le); err != nil {
			le = math.Inf(1)
		}
		found[le] += value
	})
	return found, err
}

func (r refusals) since(before refusals) refusals {
	gone := refusals{}
	for bound, n := range r {
		gone[bound] = n - before[bound]
	}
	return gone
}

// p99 returns the least bound that 99 of 100 kept to.
func (r refusals) p99() time.Duration {
	least := math.Inf(1)
	for bound, n := range r {
		if n > 0 && n >= 0.99*r[math.Inf(1)] {
			least = min(least, bound)
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return time.Duration(least * float64(time.Second))
}
