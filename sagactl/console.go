package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"

	"google.golang.org/grpc"

	"hosho/internal/console"
	"hosho/internal/rpc"
	"hosho/internal/story"
	"hosho/internal/terminal"
)

type showConsole struct {
	orderd
	paymentd
	relay
	databases

	Listen        string   `default:"${console_address}" env:"SAGACTL_CONSOLE_LISTEN" help:"The address of the pages."`
	AllowHost     []string `env:"SAGACTL_CONSOLE_ALLOW_HOST" placeholder:"NAME" help:"Further names it is asked by."`
	ReadOnly      bool     `help:"Show, and do nothing for anybody."`
	ShowCustomers bool     `help:"Show whose an order is and what was ordered."`
	Operator      string   `default:"${account}" help:"Who decides, for the audit table; else your account."`
}

// Help is called by kong.
func (*showConsole) Help() string {
	return "Prints CONSOLE=URL when it is there, and runs until Ctrl-C. The URL has a token: whoever has that may " +
		"retry and settle, in your name; without it the pages only show. With the URLs of both databases it " +
		"compares them when somebody asks for that. Off loopback it wants --read-only and --allow-host. It has no " +
		"certificate of its own: put what has one before it."
}

// AfterApply is called by kong.
func (s *showConsole) AfterApply(c *certificate) error {
	return errors.Join(s.orderd.AfterApply(c), s.paymentd.AfterApply(c), s.relay.AfterApply(c))
}

// Validate is called by kong.
func (s *showConsole) Validate() error {
	err := rpc.CheckListen(s.Listen)
	if err != nil {
		err = fmt.Errorf("--listen (SAGACTL_CONSOLE_LISTEN): %w", err)
	}
	for _, host := range s.AllowHost {
		if u, wrong := url.Parse("//" + host); wrong != nil || host == "" || u.Host != host || u.Port() != "" {
			err = errors.Join(err, fmt.Errorf("--allow-host (SAGACTL_CONSOLE_ALLOW_HOST): got %q, want a name as it "+
				"stands in an address, without http:// and without a port", host))
		}
	}
	if s.databases.given() {
		err = errors.Join(err, s.databases.Validate())
	}
	return errors.Join(err, s.orderd.Validate(), s.paymentd.Validate(), s.relay.Validate())
}

// Run shows the system to browsers until ctx ends.
func (s *showConsole) Run(ctx context.Context, screen *terminal.Terminal) error {
	listener, err := s.listen()
	if err != nil {
		return err
	}
	daemons, err := s.shown(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	config := console.Config{
		Daemons: daemons, ReadOnly: s.ReadOnly, Hosts: s.AllowHost, ShowCustomers: s.ShowCustomers,
		Operator: s.Operator,
	}
	if s.databases.given() {
		if err := s.databases.check(ctx); err != nil {
			return errors.Join(err, listener.Close())
		}
		config.Compare = s.databases.compare
	}
	if !s.ReadOnly {
		config.Token = rand.Text()
	}
	for _, d := range daemons {
		fmt.Fprintf(os.Stderr, "showing %s at %s\n", d.Service, d.Address)
	}
	shown, err := serveConsole(ctx, config, listener)
	if err != nil {
		return err
	}
	screen.Line("CONSOLE=%s", shown.url)
	return shown.wait()
}

// listen takes the address. What every machine could reach is for reading only, and by names that somebody gave.
func (s *showConsole) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", s.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is taken, by another console maybe: --listen (SAGACTL_CONSOLE_LISTEN) "+
			"says where else; 127.0.0.1:0 is a free port", s.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if loopback := ok && address.IP.IsLoopback(); !loopback && (!s.ReadOnly || len(s.AllowHost) == 0) {
		return nil, errors.Join(fmt.Errorf("--listen: %s is off loopback, and the pages are sent as they are: want "+
			"--read-only, and --allow-host with the names by which they are asked for", s.Listen), listener.Close())
	}
	return listener, nil
}

// shown connects to all that are to be shown: a name may stand for several.
func (s *showConsole) shown(ctx context.Context) ([]console.Daemon, error) {
	var all []console.Daemon
	for _, of := range []struct {
		service   string
		addresses []string
		as        grpc.DialOption
	}{
		{story.Orderd, []string{s.Orderd}, s.orderd.as()},
		{story.Paymentd, []string{s.Paymentd}, s.paymentd.as()},
		{story.Relay, s.Relay, s.relay.as()},
	} {
		for _, named := range of.addresses {
			for _, address := range lookUp(net.DefaultResolver.LookupNetIP).each(ctx, named) {
				conn, err := reach(of.service, address, of.as)
				if err != nil {
					return nil, err
				}
				all = append(all, console.Daemon{Service: of.service, Address: address, Conn: conn})
			}
		}
	}
	return all, nil
}

// servedConsole is a console that is served.
type servedConsole struct {
	url  string // with the token, if there is one
	ends chan error
}

// serveConsole serves a console until ctx ends.
func serveConsole(ctx context.Context, config console.Config, listener net.Listener) (*servedConsole, error) {
	c, err := console.New(config)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	at, err := rpc.Reachable(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	u := url.URL{Scheme: "http", Host: at, Path: "/"}
	if config.Token != "" {
		u.RawQuery = url.Values{console.TokenKey: {config.Token}}.Encode()
	}
	s := &servedConsole{url: u.String(), ends: make(chan error, 1)}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		kept := make(chan error, 1)
		go func() {
			defer cancel()
			kept <- c.Run(ctx)
		}()
		err := c.Serve(ctx, listener)
		cancel()
		s.ends <- errors.Join(err, <-kept)
	}()
	return s, nil
}

// wait waits until it is not served any more.
func (s *servedConsole) wait() error { return <-s.ends }
