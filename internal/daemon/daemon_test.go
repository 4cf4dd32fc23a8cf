package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/daemon"
	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/migrations"
)

// asDaemon makes this test binary the program sampled.
const asDaemon = "DAEMON_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		daemon.Main(daemon.Program{
			Name: "sampled", Description: "A daemon for tests.",
			Listen: "127.0.0.1:1", AdminListen: "127.0.0.1:2", Database: migrations.Orders,
		}, &commands{})
		return
	}
	pgtest.Main(m)
}

type commands struct {
	daemon.Commands

	Serve   serve          `cmd:"" default:"withargs" help:"Serve."`
	Migrate daemon.Migrate `cmd:"" help:"Migrate."`
}

type serve struct {
	daemon.Database
	daemon.ListenDatabase
	daemon.Listen

	Peer     string `type:"target" default:"127.0.0.1:3" env:"${env}_PEER" help:"Somebody else's address."`
	Stubborn bool   `help:"Do not stop."`
	Talk     string `enum:",on,fail,panic,others" default:"" help:"Log as many lines as stdin says, then end so."`

	Patience time.Duration `default:"1s" min:"1ms" max:"1h" env:"${env}_PATIENCE" help:"How long it waits."`
	Times    int           `default:"2"  min:"1"   max:"9"  env:"${env}_TIMES"    help:"How often it tries."`
}

func (s *serve) Run(ctx context.Context, log *slog.Logger) error {
	url, err := s.URL(log)
	if err != nil {
		return err
	}
	listening, err := s.Listening(log, &s.Database, pg.Config{URL: url})
	if err != nil {
		return err
	}
	log.Info("serving", "listen", s.Listen.Listen, "admin", s.AdminListen, "database", url, "listening", listening.URL,
		"took", 1500*time.Microsecond+400*time.Nanosecond)
	if s.Talk != "" {
		if err := talk(ctx, log, s.Talk); err != nil {
			return err
		}
	}
	<-ctx.Done()
	log.Info("stopping")
	if s.Stubborn {
		<-time.After(longWait)
	}
	return nil
}

// longWait bounds every wait. It is long, so that only a test that would fail runs into it.
const longWait = 30 * time.Second

// command is sampled with arguments, and an environment of nothing but the variables.
func command(t *testing.T, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), longWait)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0], args...)
	quick := "GORACE=atexit_sleep_ms=0" // else each exit takes a second
	c.Env = append([]string{asDaemon + "=1", quick}, environment...)
	return c
}

// run runs sampled to its end.
func run(t *testing.T, environment []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := command(t, environment, args...)
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), complaints.String(), c.ProcessState.ExitCode()
}

// process is a sampled that serves.
type process struct {
	*exec.Cmd

	first map[string]any // its first line, by which it says that it serves
	log   *bufio.Scanner
}

func start(t *testing.T, environment []string, args ...string) *process {
	t.Helper()
	c := command(t, environment, args...)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			_ = c.Wait() // it was killed
		}
	})
	p := &process{Cmd: c, log: bufio.NewScanner(stderr)}
	p.first = p.line(t)
	return p
}

// line returns the next line of the log.
func (p *process) line(t *testing.T) map[string]any {
	t.Helper()
	line := map[string]any{}
	if !p.log.Scan() {
		t.Fatalf("got no line: %v", p.log.Err())
	}
	if err := json.Unmarshal(p.log.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", p.log.Text(), err)
	}
	return line
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got %q, want %q in it", text, part)
		}
	}
}

const url = "postgres://alice@127.0.0.1/orders"

func TestHelpShowsTheEnvironmentVariables(t *testing.T) {
	t.Parallel()
	stdout, _, code := run(t, nil, "serve", "--help")
	if code != 0 {
		t.Errorf("got exit %d, want 0", code)
	}
	for _, variable := range []string{
		"LISTEN", "ADMIN_LISTEN", "REFLECTION", "LOG_LEVEL", "LOG_FORMAT",
	} {
		wantIn(t, stdout, "($SAMPLED_"+variable+")")
	}
	for _, variable := range []string{"DATABASE_URL", "DATABASE_URL_FILE"} {
		wantIn(t, stdout, "$SAMPLED_"+variable, "$ORDERS_"+variable)
	}
	wantIn(t, stdout, "127.0.0.1:1", "127.0.0.1:2")
}

func TestFlagsOverrideTheEnvironmentWhichOverridesTheDefaults(t *testing.T) {
	t.Parallel()
	environment := []string{"SAMPLED_LISTEN=127.0.0.1:1001", "SAMPLED_DATABASE_URL=" + url, "SAMPLED_LOG_LEVEL=info"}
	const other = "postgres://bob@127.0.0.1/orders"
	tests := []struct {
		environment      []string
		args             []string
		listen, database string
	}{
		{nil, []string{"--database-url", url}, "127.0.0.1:1", url},
		{environment, nil, "127.0.0.1:1001", url},
		{environment, []string{"serve"}, "127.0.0.1:1001", url},
		{environment, []string{"--listen=127.0.0.1:1002", "--database-url=" + other}, "127.0.0.1:1002", other},
		{append(environment, "SAMPLED_LOG_LEVEL=error"), []string{"--log-level=debug"}, "127.0.0.1:1001", url},
	}
	for _, test := range tests {
		got := start(t, test.environment, test.args...).first
		if got["listen"] != test.listen || got["database"] != test.database {
			t.Errorf("%v %v: got %v, want %s and %s", test.environment, test.args, got, test.listen, test.database)
		}
	}
}

func TestTheLogIsJSONThatSpellsDurations(t *testing.T) {
	t.Parallel()
	got := start(t, nil, "--database-url", url).first
	if got["daemon"] != "sampled" || got["msg"] != "serving" || got["level"] != "INFO" || got["took"] != "1.5ms" {
		t.Errorf("got %v, want an INFO of sampled that took 1.5ms", got)
	}
}

func TestMigrateSaysWhatItApplied(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	environment := []string{"SAMPLED_DATABASE_URL=" + db.URL}
	err := migrations.Orders.Check(t.Context(), db.Pool, nil)
	if err == nil || !strings.HasSuffix(err.Error(), ": run `orderd migrate`") {
		t.Errorf("before: got %v, want what to run", err)
	}
	stdout, stderr, code := run(t, environment, "migrate")
	if code != 0 || !strings.HasPrefix(stdout, "applied orders 1\napplied orders 2\n") {
		t.Errorf("got %q, exit %d, %s; want the versions, exit 0", stdout, code, stderr)
	}
	if err := migrations.Orders.Ready(db.Pool, nil)(t.Context()); err != nil {
		t.Errorf("after: %v", err)
	}
	if stdout, _, code = run(t, environment, "migrate"); stdout != "orders is up to date\n" || code != 0 {
		t.Errorf("again: got %q, exit %d, want orders is up to date, exit 0", stdout, code)
	}
}

// Roles that are made later get their rights when somebody migrates again, and those that are missing are named.
func TestMigrateNamesTheRolesThatAreMissing(t *testing.T) {
	t.Parallel()
	db := pgtest.Own(t).Create(t, "orders")
	environment := []string{"SAMPLED_DATABASE_URL=" + db.URL}
	if stdout, stderr, code := run(t, environment, "migrate"); code != 0 || strings.Contains(stdout, "roles") {
		t.Errorf("without roles: got %q, exit %d, %s; want nothing about them", stdout, code, stderr)
	}
	for _, step := range []struct{ makes, want string }{
		{
			`CREATE ROLE hosho_relay; CREATE ROLE hosho_orderd`,
			"roles that are missing: hosho_orders_owner, hosho_repair, hosho_orders_reader " +
				"(sagactl bootstrap makes them)\n",
		},
		{`CREATE ROLE hosho_orders_owner; CREATE ROLE hosho_repair; CREATE ROLE hosho_orders_reader`, ""},
	} {
		if _, err := db.Pool.Exec(t.Context(), step.makes); err != nil {
			t.Fatal(err)
		}
		stdout, _, code := run(t, environment, "migrate")
		if want := "orders is up to date\n" + step.want; stdout != want || code != 0 {
			t.Errorf("got %q, exit %d, want %q, exit 0", stdout, code, want)
		}
	}
	var may bool
	if err := db.Pool.QueryRow(t.Context(), `SELECT has_table_privilege('hosho_orders_reader', 'orders', 'SELECT')`).
		Scan(&may); err != nil || !may {
		t.Errorf("the reader may read: got %v, %v", may, err)
	}
}

func TestAWrongCommandLineExits80(t *testing.T) {
	t.Parallel()
	for complaint, args := range map[string][]string{
		"unknown flag --colour":       {"serve", "--colour"},
		"unexpected argument":         {"serve", "tea"},
		"loud":                        {"--log-level=loud", "--database-url", url},
		"--log-format":                {"--log-format=xml", "--database-url", url},
		"--database-url: it is empty": {"serve", "--database-url="},
		"can't be used together": {
			"serve", "--database-url", url, "--database-url-file", os.DevNull,
		},
	} {
		_, stderr, code := run(t, nil, args...)
		wantIn(t, stderr, "sampled: error: ", complaint)
		if code != 80 {
			t.Errorf("%v: got exit %d, want 80", args, code)
		}
	}
}

func TestVersionPrintsWhatItWasBuiltWith(t *testing.T) {
	t.Parallel()
	stdout, _, code := run(t, nil, "version")
	if !strings.HasSuffix(stdout, " "+runtime.Version()+"\n") || code != 0 {
		t.Errorf("got %q, exit %d, want a version and %s, exit 0", stdout, code, runtime.Version())
	}
}

func TestHealthcheckExits0OnlyWhenTheDaemonServes(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().String()
	state, server := health.NewServer(), grpc.NewServer()
	healthpb.RegisterHealthServer(server, state)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener)
	}()
	stop := func() { server.Stop(); <-served }
	defer stop()

	stdout, _, code := run(t, nil, "healthcheck", "--listen", target)
	if stdout != "SERVING\n" || code != 0 {
		t.Errorf("it serves: got %q, exit %d, want SERVING, exit 0", stdout, code)
	}
	everywhere := ":" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	for _, listen := range []string{everywhere, "0.0.0.0" + everywhere} {
		if stdout, _, code := run(t, []string{"SAMPLED_LISTEN=" + listen}, "healthcheck"); stdout != "SERVING\n" {
			t.Errorf("it listens on %s: got %q, exit %d, want SERVING, exit 0", listen, stdout, code)
		}
	}
	state.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	stdout, stderr, code := run(t, []string{"SAMPLED_LISTEN=" + target}, "healthcheck")
	wantIn(t, stderr, "sampled: not ready")
	if stdout != "NOT_SERVING\n" || code != 1 {
		t.Errorf("it is not ready: got %q, exit %d, want NOT_SERVING, exit 1", stdout, code)
	}
	stop()
	stdout, stderr, code = run(t, nil, "healthcheck", "--listen", target)
	wantIn(t, stderr, "sampled: ")
	if stdout != "" || code != 1 {
		t.Errorf("nothing listens: got %q, exit %d, want nothing, exit 1", stdout, code)
	}
}

func TestASignalStopsADaemonInOrder(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		p := start(t, nil, "--database-url", url)
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if line := p.line(t); line["msg"] != "stopping" {
			t.Errorf("%s: got %v, want stopping", signal, line)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("%s: got %v, want exit 0", signal, err)
		}
	}
}

// The daemon has heard the first signal and does not end. The next one is not caught as soon as the first was handled,
// which may take a moment: until then it is sent again.
func TestTheSecondSignalKills(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--stubborn", "--database-url", url)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.line(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Wait() // how it ended is in its state
	}()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			p.Process.Signal(syscall.SIGTERM)
			continue
		case <-ended:
		}
		break
	}
	if got := p.ProcessState.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != syscall.SIGTERM {
		t.Errorf("got %v, want the end by SIGTERM", p.ProcessState)
	}
}
