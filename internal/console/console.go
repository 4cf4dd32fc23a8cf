// Package console shows a running system to people, in a browser: what is under way and what became of it, what one
// order went through, and what needs a person.
//
// Its promise: it is a view. It asks the daemons what anybody with its certificate may ask, and asks nothing while
// nobody looks. What it does, it does for somebody who has its token, by the very calls that sagactl makes. Whatever
// others sent is text on its pages, and no page of another site can have a browser do anything here. Each page works
// without JavaScript, in English and in Japanese.
package console

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	"hosho/internal/reconcile"
)

// Config says what is shown, and to whom.
type Config struct {
	// The daemons that are shown: any number of each service.
	Daemons []Daemon
	// Token is what an action wants to have been told; empty: there are no actions, as with ReadOnly.
	Token string
	// ReadOnly leaves out all forms.
	ReadOnly bool
	// Hosts are further names of this console, beside those by which a machine knows itself.
	Hosts []string
	// ShowCustomers shows whose an order is and what was ordered.
	ShowCustomers bool
	// Stage is what people may play with; nil: nothing.
	Stage Stage
	// Operator is who decides, for the audit, where a relay has no certificate by which to know that.
	Operator string
	// Compare compares the two databases, and repairs nothing; nil where the console has not their URLs.
	Compare func(context.Context, reconcile.Options) (reconcile.Summary, error)
}

// Daemon is one that is shown.
type Daemon struct {
	Service string // as package story names it
	Address string // as people know it
	Conn    grpc.ClientConnInterface
}

// Console is the pages. It is safe for concurrent use.
type Console struct {
	config Config
	token  [sha256.Size]byte
	render *renderer
	stage  *reader // nil: there is no stage
	feed   *feed
	hub    *hub
	looks  looks
	http   http.Handler
}

// New makes a console. Run keeps it up to date, and Serve serves it.
func New(c Config) (*Console, error) {
	render, err := newRenderer()
	if err != nil {
		return nil, err
	}
	stage := newReader(c.Stage)
	console := &Console{
		config: c, token: sha256.Sum256([]byte(c.Token)), render: render, stage: stage,
		feed: newFeed(c.Daemons, stage),
	}
	console.hub = newHub(render, console.feed.picture)
	console.http = console.guarded(console.routes())
	return console, nil
}

// Run keeps the console up to date until ctx ends.
func (c *Console) Run(ctx context.Context) error {
	ticker := time.NewTicker(frameInterval)
	defer ticker.Stop()
	var err error
	var all sync.WaitGroup
	all.Go(func() { c.feed.run(ctx) })
	all.Go(func() { err = c.hub.run(ctx, ticker.C) })
	all.Wait()
	return err
}

// ServeHTTP answers a request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.http.ServeHTTP(w, r) }
