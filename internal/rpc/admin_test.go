package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

var adminClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: longWait}

// page asks an admin address for a path.
func page(t *testing.T, address, path string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := adminClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}

// admin serves on addresses of both kinds, and returns where the metrics are.
func admin(t *testing.T, listen string) (s *system, address string) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	s = start(t, &orders{}, func(c *ServerConfig) {
		c.Listen, c.AdminListen, c.Registry, c.Insecure = listen, listen, registry, true
	})
	address, _ = s.log.await(t, "serving")["admin"].(string)
	return s, address
}

// The command line is in no profile: a database's password may be in it.
func TestMetricsAndProfilesAreOnTheAdminAddress(t *testing.T) {
	t.Parallel()
	s, address := admin(t, "127.0.0.1:0")
	for path, want := range map[string]string{
		"/livez": "ok", "/readyz": "ok", "/metrics": `hosho_insecure{what="grpc"} 0`, "/debug/pprof/": "profiles",
		"/debug/pprof/goroutine?debug=1": "ServeAdmin",
	} {
		if code, body := page(t, address, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: got %d, %.200q, want %q", path, code, body, want)
		}
	}
	if code, body := page(t, address, "/debug/pprof/cmdline"); code != http.StatusNotFound {
		t.Errorf("the command line: got %d, %q, want 404", code, body)
	}
	if lines, _ := s.log.of("gRPC is served off loopback without TLS"); len(lines) > 0 {
		t.Errorf("got %v of a server on loopback", lines)
	}
}

// A server without a certificate is not there for other machines, unless somebody insists.
func TestAServerDoesNotListenOffLoopbackWithoutTLS(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{":0", "0.0.0.0:0"} {
		c := config(&orders{}, newLogLines())
		c.Listen = listen
		err := Serve(t.Context(), c)
		if err == nil || !strings.HasPrefix(err.Error(), listen+" is off loopback") ||
			!strings.Contains(err.Error(), "say --insecure") {
			t.Errorf("%s: got %v, want it refused, and what to do", listen, err)
		}
	}
	who := keepers(t, "orderd")
	s := serve(t, &orders{}, func(c *ServerConfig) { c.Listen, c.Identity = ":0", who["orderd"] })
	s.log.await(t, "serving")
	if lines, _ := s.log.of("gRPC is served off loopback without TLS"); len(lines) > 0 {
		t.Errorf("got %v of a server with a certificate", lines)
	}
}

// Who looks after the process asks over plain HTTP whether it is alive and ready, and learns no more than that.
func TestReadyzIsWhatTheGateSays(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	registry := prometheus.NewRegistry()
	s := serve(t, &orders{}, func(c *ServerConfig) {
		c.AdminListen, c.Registry = "127.0.0.1:0", registry
		c.Ready = func(context.Context) error {
			if !mended.Load() {
				return errors.New("a secret of the database's")
			}
			return nil
		}
	})
	address, _ := s.log.await(t, "serving")["admin"].(string)
	s.log.await(t, "not ready")
	code, body := page(t, address, "/readyz")
	if code != http.StatusServiceUnavailable || strings.Contains(body, "secret") {
		t.Errorf("got %d, %q, want 503 without the cause", code, body)
	}
	if code, body := page(t, address, "/livez"); code != http.StatusOK {
		t.Errorf("got %d, %q, want it alive all the same", code, body)
	}
	mended.Store(true)
	s.log.await(t, "ready")
	if code, body := page(t, address, "/readyz"); code != http.StatusOK {
		t.Errorf("got %d, %q, want it ready", code, body)
	}
}

// A server listens on every interface, as :port says, since somebody insists. It warns of that at the start, and shows
// no profiles.
func TestAServerOffLoopbackWarnsAndShowsNoProfiles(t *testing.T) {
	t.Parallel()
	s, address := admin(t, ":0")
	line := s.log.await(t, "gRPC is served off loopback without TLS")
	if line["level"] != "WARN" || line["means"] == nil || line["do"] == nil {
		t.Errorf("got %v, want a WARN that says what it means and what to do", line)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	address = "127.0.0.1:" + port
	code, body := page(t, address, "/metrics")
	if code != http.StatusOK || !strings.Contains(body, `hosho_insecure{what="grpc"} 1`) {
		t.Errorf("got %d, %.200q, want metrics that tell of it", code, body)
	}
	for _, path := range []string{"", "heap", "profile", "cmdline", "goroutine?debug=2"} {
		if code, body := page(t, address, "/debug/pprof/"+path); code != http.StatusNotFound {
			t.Errorf("%s: got %d, %.200q, want 404", path, code, body)
		}
	}
}

// Hundreds connect and say nothing. Whoever asks is answered all the same: of too many the oldest is closed.
func TestWhoOnlyStandsThereKeepsNobodyFromTheMetrics(t *testing.T) {
	t.Parallel()
	_, address := admin(t, "127.0.0.1:0")
	for range maxAdmins - 1 {
		connect(t, address)
	}
	for range 3 {
		connect(t, address)
		if code, _ := page(t, address, "/metrics"); code != http.StatusOK {
			t.Errorf("got %d, want metrics", code)
		}
	}
}

// A profile is under way, and somebody asks for another.
func TestOneProfileIsTakenAtATime(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	handler := oneAtATime(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-release
	}))
	ask := func() int {
		reply := httptest.NewRecorder()
		handler.ServeHTTP(reply, httptest.NewRequest(http.MethodGet, "/debug/pprof/heap", nil))
		return reply.Code
	}
	first := make(chan int)
	go func() { first <- ask() }()
	<-begun
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("got %d beside another, want 503", code)
	}
	close(release)
	if code := <-first; code != http.StatusOK {
		t.Errorf("got %d, want the first taken", code)
	}
	go func() { <-begun }()
	if code := ask(); code != http.StatusOK {
		t.Errorf("got %d after it, want 200", code)
	}
}
