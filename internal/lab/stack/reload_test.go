package stack_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/authority"
	"hosho/internal/lab/proxy"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// What a daemon says of a file that has changed.
const (
	isUsed   = `"msg":"a file changed, and is used"`
	isNoGood = `"msg":"a changed file is no good: the old one is used"`
)

// Keys and certificates of all daemons are replaced, one after the other, and then their authority, while customers
// order on ever new connections, and then there is rubbish in the files. No call fails, and every order is paid.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes for seconds")
	var link *proxy.Proxy
	s := start(t, bin, 1, func(c *stack.Config) {
		c.TLS, c.Admin = true, true
		c.Route = toPaymentd(&link)
	})
	t.Cleanup(func() { _ = link.Close() }) // nothing is lost with it any more
	next, _, err := authority.New("next", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	old := s.Authority()
	both := bytes.Join([][]byte{old.Cert(), next.Cert()}, nil)
	load := s.order(t)
	for _, step := range []struct {
		name        string
		by          *authority.Authority
		authorities []byte
	}{
		{"new keys", old, old.Cert()},
		{"both authorities", old, both},
		{"certificates of the next one", next, both},
		{"the next one alone", next, next.Cert()},
	} {
		for who, p := range s.certified() {
			s.replaced(t, who, p, step.by, step.authorities)
		}
		link.Reset() // the relay connects anew
		s.lives(t, step.name)
	}
	for who, p := range s.certified() {
		if p != nil {
			s.refuses(t, who, p)
		}
	}
	link.Reset()
	s.lives(t, "bad files")
	if orders := load(); orders == 0 {
		t.Error("nobody has ordered")
	}
	s.await(t, "every order is settled", allSettled)
	s.agree(t, true)
	s.noAlarms(t)
}

// certified is who has a certificate, and the daemons among them.
func (s *system) certified() map[string]*stack.Process {
	return map[string]*stack.Process{
		"orderd": s.Orderd, "paymentd": s.Paymentd, "relay": s.Relays[0], "shop": nil, "operator": nil,
	}
}

// order has customers order, each on a connection of its own, until the function that it returns is called. That
// returns how many orders there are.
func (s *system) order(t *testing.T) func() int {
	var all sync.WaitGroup
	var mu sync.Mutex
	orders := 0
	ctx, end := context.WithCancel(t.Context())
	for customer := range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				err := s.orderOnce(context.WithoutCancel(ctx), fmt.Sprint("customer-", customer))
				if err != nil {
					t.Errorf("an order: %v", err)
				}
				mu.Lock()
				orders++
				mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { end(); all.Wait() })
	return func() int {
		end()
		all.Wait()
		return orders
	}
}

func (s *system) orderOnce(ctx context.Context, customer string) error {
	conn, err := s.Dial(s.Orderd, "shop")
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, longWait)
	defer cancel()
	_, err = orderv1.NewOrderServiceClient(conn).CreateOrder(ctx, &orderv1.CreateOrderRequest{
		CustomerId: customer, CurrencyCode: "JPY", Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: 600}},
	})
	return err
}

// replaced gives somebody a new key, a certificate for it, and authorities to trust, and waits until they are used.
func (s *system) replaced(t *testing.T, who string, p *stack.Process, by *authority.Authority, authorities []byte) {
	t.Helper()
	pair, err := by.Issue(authority.Wanted{
		Identity: authority.ID(who), Names: []string{who, "127.0.0.1"}, Until: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	put := func() {
		if err := authority.Put(s.folder(who), pair, authorities); err != nil {
			t.Fatal(err)
		}
	}
	if p != nil {
		s.says(t, p, isUsed, put)
		return
	}
	put()
	if !s.Keeper(who).Look(time.Now()) {
		t.Errorf("%s has not taken its new certificate", who)
	}
}

func (s *system) folder(who string) string { return filepath.Dir(s.Files(who).Cert) }

// refuses puts rubbish into a daemon's files, which it must not use, and counts.
func (s *system) refuses(t *testing.T, who string, p *stack.Process) {
	t.Helper()
	files := s.Files(who)
	good, anothers := read(t, files.Cert), read(t, s.Files("shop").Key)
	before := refused(t, p)
	for file, bad := range map[string][]byte{files.Cert: good[:len(good)/2], files.Key: anothers} {
		was := read(t, file)
		s.says(t, p, isNoGood, func() { write(t, file, string(bad)) })
		s.lives(t, who+" with rubbish in "+filepath.Base(file))
		write(t, file, string(was))
	}
	if got := refused(t, p) - before; got < 2 {
		t.Errorf("%s: got %v refused files counted, want 2", who, got)
	}
}

// lives checks that everybody gets a new connection to each daemon, and that an order is paid.
func (s *system) lives(t *testing.T, when string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	for _, p := range s.Daemons() {
		conn, err := s.Dial(p, "operator")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("%s: a new connection to %s: %v", when, p.Name, err)
		}
		conn.Close()
	}
	s.await(t, "an order is paid", `SELECT status = 'COMPLETED' FROM orders WHERE id = $1`, s.place(t, 1200))
}

// says does something to a daemon's files, has it look at them, and waits until it has said what it makes of them.
func (s *system) says(t *testing.T, p *stack.Process, what string, change func()) {
	t.Helper()
	saysOnceMore(t, p, what, func() {
		change()
		p.Signal(syscall.SIGHUP)
	})
}

// saysOnceMore does something, and waits until a daemon says once more what it is expected to.
func saysOnceMore(t *testing.T, p *stack.Process, what string, do func()) {
	t.Helper()
	before := bytes.Count(read(t, p.LogFile), []byte(what))
	do()
	ctx, cancel := context.WithTimeout(t.Context(), longWait)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for bytes.Count(read(t, p.LogFile), []byte(what)) == before {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s has not said %s", p.Name, what)
		}
	}
}

// refused is how often a daemon has counted a bad certificate.
func refused(t *testing.T, p *stack.Process) (n float64) {
	t.Helper()
	reply, err := http.Get("http://" + p.AdminAddress + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	const metric = `hosho_tls_reloads_total{result="refused",what="certificate"} `
	_, found, _ := strings.Cut(string(text), "\n"+metric)
	if _, err := fmt.Sscan(found, &n); err != nil {
		t.Fatalf("%s: %s: %v", p.Name, metric, err)
	}
	return n
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// paymentd has come back with a certificate of an authority that the relay does not know. An order waits, and is paid
// when paymentd has the right one.
func TestAnOrderWaitsForTheRightCertificate(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system with certificates")
	s := start(t, bin, 1, func(c *stack.Config) { c.TLS = true })
	another, _, err := authority.New("another", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	comesBack := func(by *authority.Authority) {
		pair, err := by.Issue(authority.Wanted{
			Identity: authority.ID("paymentd"), Names: []string{"127.0.0.1"}, Until: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Paymentd.Kill()
		if err := authority.Put(s.folder("paymentd"), pair, by.Cert()); err != nil {
			t.Fatal(err)
		}
		saysOnceMore(t, s.Paymentd, `"msg":"serving"`, func() {
			if err := s.Paymentd.Start(); err != nil {
				t.Fatal(err)
			}
		})
	}
	comesBack(another)
	order := s.place(t, 1200)
	s.await(t, "it was tried again", `SELECT claims > 2 FROM outbox WHERE key = $1`, order)
	comesBack(s.Authority())
	s.await(t, "it is paid", `SELECT status = 'COMPLETED' FROM orders WHERE id = $1`, order)
	s.agree(t, true)
	s.noAlarms(t)
}
