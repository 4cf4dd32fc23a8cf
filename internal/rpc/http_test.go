package rpc

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/identity"
)

// forwarding is a door that makes one call of each request, with all of its headers as metadata: a bad one.
func forwarding(inner grpc.ClientConnInterface) (http.Handler, error) {
	client := orderv1.NewOrderServiceClient(inner)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		for name, values := range r.Header {
			if strings.HasPrefix(name, "Hosho-") {
				ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), values[0])
			}
		}
		_, _ = io.Copy(io.Discard, r.Body) // or it is cut
		_, err := client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: orderID})
		if err != nil {
			http.Error(w, status.Convert(err).Message(), http.StatusTeapot)
		}
	}), nil
}

func overHTTP(c *ServerConfig) { c.HTTP = HTTP{Listen: "127.0.0.1:0", Handler: forwarding} }

// at is where a system is reached over HTTP.
func (s *system) http(t *testing.T) string {
	t.Helper()
	return s.log.await(t, "serving")["http"].(string)
}

// client is an HTTP client with a certificate, or none.
func client(t *testing.T, k *identity.Keeper) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	if k != nil {
		config := &tls.Config{InsecureSkipVerify: true} // whose server it is, is no matter here
		own := k.HTTP()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := own.GetConfigForClient(nil)
			return &c.Certificates[0], err
		}
		transport.TLSClientConfig = config
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: longWait}
}

func ask(t *testing.T, c *http.Client, url string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	reply, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reply.StatusCode != http.StatusOK && !strings.Contains(string(text), "stranger may not") {
		t.Errorf("got %d %s", reply.StatusCode, text)
	}
	return reply
}

// callers are those as whom calls came.
type callers struct {
	mu  sync.Mutex
	all []string
}

func (c *callers) authorize(ctx context.Context, _ string) (context.Context, error) {
	id := identity.Of(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, id)
	if id == at+"stranger" {
		return ctx, &NotAllowed{"stranger may not"}
	}
	return ctx, nil
}

// A call that is made of a request over HTTP is of whoever's certificate the request came with, whatever the request
// says of that, and though the door passes all on; and so is one over gRPC.
func TestNobodyIsBelievedWhoSaysWhoseHisCallIs(t *testing.T) {
	t.Parallel()
	who := keepers(t, "orderd", "shop", "stranger")
	seen := &callers{}
	s := start(t, &orders{}, overHTTP, func(c *ServerConfig) {
		c.Identity, c.Authorize = who["orderd"], seen.authorize
	})
	url := "https://" + s.http(t)
	const forged = "Hosho-Caller: " + at + "shop"
	ask(t, client(t, who["shop"]), url, "Hosho-Caller: "+at+"orderd")
	if reply := ask(t, client(t, who["stranger"]), url, forged); reply.StatusCode != http.StatusTeapot {
		t.Errorf("got %d, want it refused", reply.StatusCode)
	}
	conn, err := Dial(s.address, As(who["stranger"], at+"orderd"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "hosho-caller", at+"shop", "hosho-caller-host", "::1")
	_, err = orderv1.NewOrderServiceClient(conn).GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: orderID})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v, want it refused", err)
	}
	if want := []string{at + "shop", at + "stranger", at + "stranger"}; !slices.Equal(seen.all, want) {
		t.Errorf("got calls of %v, want %v", seen.all, want)
	}
}

// Where there are no certificates nobody has an identity, whatever he says.
func TestWithoutCertificatesNobodyIsAnybody(t *testing.T) {
	t.Parallel()
	seen := &callers{}
	s := start(t, &orders{}, overHTTP, func(c *ServerConfig) { c.Authorize = seen.authorize })
	ask(t, client(t, nil), "http://"+s.http(t), "Hosho-Caller: "+at+"shop")
	if err := s.get(metadata.AppendToOutgoingContext(t.Context(), "hosho-caller", at+"shop")); err != nil {
		t.Error(err)
	}
	if want := []string{"", ""}; !slices.Equal(seen.all, want) {
		t.Errorf("got calls of %q, want %q", seen.all, want)
	}
}

// Who has no certificate, or another authority's, gets no connection, and is counted and told of as over gRPC.
func TestHTTPLetsNobodyInWithoutACertificate(t *testing.T) {
	t.Parallel()
	who, others := keepers(t, "orderd"), keepers(t, "shop")
	registry := prometheus.NewRegistry()
	s := start(t, &orders{}, overHTTP, func(c *ServerConfig) { c.Identity, c.Registry = who["orderd"], registry })
	nobody := client(t, nil)
	nobody.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	for _, c := range []*http.Client{nobody, client(t, others["shop"])} {
		reply, err := c.Get("https://" + s.http(t))
		if err == nil {
			reply.Body.Close()
			t.Errorf("got %s, want no connection", reply.Status)
		}
	}
	if line := s.log.await(t, "a connection was refused"); !strings.Contains(line["error"].(string), "certificate") {
		t.Errorf("got %v, want it told why", line)
	}
	for failed := 0.0; failed < 2; { // it is counted when the server has seen the end of it
		failed = counter(t, registry, "hosho_rpc_handshakes_failed_total")
	}
	plain, err := client(t, nil).Get("http://" + s.http(t))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s of plain HTTP, want 400", plain.Status)
	}
}

func counter(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// Off loopback it wants certificates, also of who says that gRPC needs none.
func TestHTTPOffLoopbackWantsACertificate(t *testing.T) {
	t.Parallel()
	c := config(&orders{}, newLogLines())
	c.HTTP, c.Insecure = HTTP{Listen: "0.0.0.0:0", Handler: forwarding}, true
	err := Serve(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "0.0.0.0:0 is off loopback, where HTTP wants a certificate") {
		t.Errorf("got %v, want it refused", err)
	}
}

// A connection that says nothing more ends: in the middle of a request's headers, and of its body.
func TestARequestThatDoesNotComeIsCut(t *testing.T) {
	t.Parallel()
	const soon = 20 * time.Millisecond
	s := start(t, &orders{}, overHTTP, limited(func(l *limits) { l.httpHeaders, l.httpRequest = soon, 2*soon }))
	for _, begun := range []string{
		"GET / HTTP/1.1\r\nHost:", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
	} {
		conn, err := net.Dial("tcp", s.http(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(longWait)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, begun); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("after %q: got %v, want the end", begun, err)
		}
	}
}

// A connection that is as old as it may become ends after its answer, so that its certificate is looked at again.
func TestAnOldConnectionOfHTTPEndsAfterItsAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, &orders{}, overHTTP, limited(func(l *limits) { l.age = 20 * time.Millisecond }))
	c := client(t, nil)
	for ended := false; !ended; {
		ended = ask(t, c, "http://"+s.http(t)).Close
	}
	young := start(t, &orders{}, overHTTP)
	if reply := ask(t, c, "http://"+young.http(t)); reply.Close {
		t.Error("got the end of a new connection, want it to go on")
	}
}

// Of too many connections the newest is closed, and counted as over gRPC.
func TestConnectionsOfHTTPAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := start(t, &orders{}, overHTTP, limited(func(l *limits) { l.streams = 1 }),
		func(c *ServerConfig) { c.Registry = registry })
	first := client(t, nil)
	ask(t, first, "http://"+s.http(t)) // and keeps its connection
	if reply, err := client(t, nil).Get("http://" + s.http(t)); err == nil {
		reply.Body.Close()
		t.Errorf("got %s, want no connection", reply.Status)
	}
	if got := counter(t, registry, "hosho_rpc_connections_refused_total"); got == 0 {
		t.Error("it was not counted")
	}
	ask(t, first, "http://"+s.http(t))
}
