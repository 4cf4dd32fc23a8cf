package stage

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"

	"hosho/internal/lab/proxy"
)

// Links are the ways to a paymentd, and of relays to a broker, which can be made bad. The zero value has none. Kafka's
// clients leave theirs: they go where the broker says that it is.
type Links struct {
	proxies []*proxy.Proxy
}

// Route leads what relays say to paymentd or to a broker over a link, and everything else straight on. It is for
// stack.Config.Route.
func (l *Links) Route(from, to, address string) (string, error) {
	if to != "paymentd" && (to != "broker" || from == "paymentd") {
		return address, nil
	}
	p, err := proxy.Listen(address)
	if err != nil {
		return "", err
	}
	l.proxies = append(l.proxies, p)
	return p.Address(), nil
}

// Close ends the links. It comes after the end of what uses them.
func (l *Links) Close() error {
	var err error
	for _, p := range l.proxies {
		err = errors.Join(err, p.Close())
	}
	l.proxies = nil
	return err
}

// set makes the links as is said.
func (l *Links) set(link proxy.Link) {
	for _, p := range l.proxies {
		p.Set(link)
	}
}

// reset breaks what is open. What is on its way is lost.
func (l *Links) reset() {
	for _, p := range l.proxies {
		p.Reset()
	}
}

// dialing leads a connection to a daemon over a link of its own.
func (l *Links) dialing(address string) (grpc.DialOption, error) {
	over, err := l.Route("", "paymentd", address)
	if err != nil {
		return nil, err
	}
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", over)
	}), nil
}
