// Package proxy carries TCP connections over links that can be made bad: for experiments on what the daemons do when
// the network between them, or to their databases, is slow, breaks, or swallows what it is given.
//
// Its promise: bytes arrive unchanged and in order, or the connection ends; what a stalled link holds arrives when it
// heals; a COMMIT that is cut before it arrives is not executed, and one that is cut after it is done was answered.
// Close leaves nothing behind.
//
// It works above TCP, whose acknowledgements and keepalives both sides go on getting from the proxy's own system. A
// blackhole is found by timeouts above TCP only.
package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"hosho/internal/proc"
	"hosho/internal/wait"
)

// Proxy listens on a port of its own and carries each connection to its target. Its methods may be called at any time,
// from several goroutines.
type Proxy struct {
	postgres bool
	listener *net.TCPListener
	cuts     [3]atomic.Int64 // by cut

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // all of its goroutines, directly or through another

	mu      sync.Mutex // guards what follows
	target  string
	link    Link
	random  *rand.Rand
	changed chan struct{} // closed by the next Set
	open    map[*connection]struct{}
}

// Listen makes a proxy on 127.0.0.1 that carries connections to target ("host:port"). It fails when there is no port to
// listen on. Whether the target answers shows with the first connection: one that cannot reach it is reset.
func Listen(target string) (*Proxy, error) { return start(target, false) }

// ListenPostgres is Listen for a target that is a PostgreSQL server. Such a proxy reads along and can cut COMMITs, as
// long as the connections are not encrypted.
func ListenPostgres(target string) (*Proxy, error) { return start(target, true) }

func start(target string, postgres bool) (*Proxy, error) {
	listener, err := proc.Listen()
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", target, err)
	}
	p := &Proxy{target: target, postgres: postgres, listener: listener, open: make(map[*connection]struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.Set(Link{})
	p.running.Go(p.accept)
	return p, nil
}

// Address is where the proxy listens, "host:port".
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Redirect has new connections carried to another target. Those that are open stay where they are: Reset ends them.
func (p *Proxy) Redirect(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *Proxy) whereTo() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// Close resets every connection, stops listening, and returns when all of the proxy's goroutines have ended. A second
// Close returns net.ErrClosed.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.running.Wait()
	return err
}

// Set makes the links as l says, from now on, those of open connections included. What is on its way keeps the delay
// that it set out with. The random choices begin anew from l.Seed.
func (p *Proxy) Set(l Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link = l
	p.random = rand.New(rand.NewPCG(l.Seed, 0))
	if p.changed != nil {
		close(p.changed)
	}
	p.changed = make(chan struct{})
}

// Reset resets every open connection, on both sides, and returns when that is done. What was on its way is lost.
func (p *Proxy) Reset() {
	p.mu.Lock()
	var open []*connection
	for c := range p.open {
		open = append(open, c)
	}
	p.mu.Unlock()
	for _, c := range open {
		c.cancel()
	}
	for _, c := range open {
		<-c.ended
	}
}

// Cuts returns how many connections were cut right before and right after a COMMIT. A client that has noticed a cut
// finds it counted.
func (p *Proxy) Cuts() (before, after int64) {
	return p.cuts[beforeCommit].Load(), p.cuts[afterCommit].Load()
}

func (p *Proxy) accept() {
	for p.ctx.Err() == nil {
		client, err := p.listener.AcceptTCP()
		switch {
		case err != nil:
			// out of descriptors, if the listener is not closed: some may come back
			wait.For(p.ctx, 10*time.Millisecond)
		case p.refuses():
			reset(client)
		default:
			p.carry(client)
		}
	}
}

func (p *Proxy) carry(client *net.TCPConn) {
	ctx, cancel := context.WithCancel(p.ctx)
	c := &connection{proxy: p, client: client, cancel: cancel, ended: make(chan struct{})}
	p.mu.Lock()
	p.open[c] = struct{}{}
	p.mu.Unlock()
	p.running.Go(func() {
		c.run(ctx)
		p.mu.Lock()
		delete(p.open, c)
		p.mu.Unlock()
		close(c.ended)
	})
}
