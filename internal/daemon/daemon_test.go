package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"hosho/internal/daemon"
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
	daemon.Listen

	Peer     string `type:"target" default:"127.0.0.1:3" env:"${env}_PEER" help:"Somebody else's address."`
	Stubborn bool   `help:"Do not stop."`

	Patience time.Duration `default:"1s" min:"1ms" max:"1h" env:"${env}_PATIENCE" help:"How long it waits."`
	Times    int           `default:"2"  min:"1"   max:"9"  env:"${env}_TIMES"    help:"How often it tries."`
}

func (s *serve) Run(ctx context.Context, log *slog.Logger) error {
	url, err := s.URL(log)
	if err != nil {
		return err
	}
	log.Info("serving", "listen", s.Listen.Listen, "admin", s.AdminListen, "database", url,
		"took", 1500*time.Microsecond+400*time.Nanosecond)
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

const url = "postgres://alice@db.example/orders"

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
	const other = "postgres://bob@db.example/orders"
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

func TestTheDatabaseMayBeNamedInAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("  "+url+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := start(t, nil, "--database-url-file", file).first["database"]; got != url {
		t.Errorf("got database %q, want %q", got, url)
	}
	if got := start(t, []string{"SAMPLED_DATABASE_URL_FILE=" + file}).first["database"]; got != url {
		t.Errorf("by the environment: got database %q, want %q", got, url)
	}
}

// The names by which a database may be given, in the order in which they count. Each line's first one wins.
func TestADaemonsOwnVariablesWinOverThoseOfItsDatabase(t *testing.T) {
	t.Parallel()
	const other = "postgres://bob:hunter2@db.example/orders"
	dir := t.TempDir()
	file, another, none := filepath.Join(dir, "url"), filepath.Join(dir, "other"), filepath.Join(dir, "none")
	for name, content := range map[string]string{file: url, another: other} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const own, shared = "SAMPLED_DATABASE_URL", "ORDERS_DATABASE_URL"
	tests := []struct {
		environment []string
		args        []string
		warns       bool
	}{
		{[]string{shared + "=" + url}, nil, false},
		{[]string{shared + "_FILE=" + file}, nil, false},
		{[]string{own + "=", shared + "=" + url}, nil, false},
		{[]string{own + "=" + url, shared + "=" + url}, nil, false},
		{[]string{own + "_FILE=" + file, shared + "=" + url}, nil, false},
		{[]string{own + "=" + url, shared + "=" + other}, nil, true},
		{[]string{own + "=" + url, shared + "_FILE=" + another}, nil, true},
		{[]string{own + "_FILE=" + file, shared + "=" + other}, nil, true},
		{[]string{own + "_FILE=" + file, shared + "_FILE=" + another}, nil, true},
		{[]string{own + "=" + url, shared + "_FILE=" + none}, nil, true},
		{[]string{own + "=" + other, shared + "=" + other}, []string{"--database-url=" + url}, false},
		{[]string{own + "_FILE=" + another, shared + "=" + other}, []string{"--database-url=" + url}, false},
		{[]string{own + "=" + other}, []string{"--database-url-file=" + file}, false},
	}
	for _, test := range tests {
		p := start(t, test.environment, test.args...)
		said, line := p.first, p.first
		if test.warns {
			line = p.line(t)
		}
		if line["msg"] != "serving" || line["database"] != url {
			t.Errorf("%v %v: got %v, want it to serve %s", test.environment, test.args, line, url)
		}
		if text := fmt.Sprint(said); test.warns && (said["level"] != "WARN" || said["used"] != own ||
			said["ignored"] != shared || strings.Contains(text, "hunter2")) {
			t.Errorf("%v: got %v, want a warning that %s is used and %s is not", test.environment, said, own, shared)
		}
	}
	_, stderr, code := run(t, []string{shared + "_FILE=" + none})
	wantIn(t, stderr, shared+"_FILE: open "+none)
	if code != 1 {
		t.Errorf("a file that is not there: got exit %d, want 1", code)
	}
}

// Which of the two is meant cannot be known, and one of them may be another database.
func TestAURLAndAFileUnderOneNameAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("postgres://bob@db.example/orders"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SAMPLED_DATABASE_URL", "ORDERS_DATABASE_URL"} {
		_, stderr, code := run(t, []string{name + "=" + url, name + "_FILE=" + file})
		wantIn(t, stderr, "sampled: "+name+" and "+name+"_FILE can't be used together")
		if code != 1 {
			t.Errorf("%s and %[1]s_FILE: got exit %d, want 1", name, code)
		}
	}
}

// A slip in a name would leave a default that nobody chose. What Kubernetes gives a container for a service that is
// called as the daemon is is no slip, and no setting.
func TestAVariableThatNobodyReadsIsWarnedOf(t *testing.T) {
	t.Parallel()
	slips := map[string]string{ // and what was meant
		"SAMPLED_LISTN=127.0.0.1:5":         "SAMPLED_LISTEN",
		"SAMPLED_ADMINLISTEN=":              "SAMPLED_ADMIN_LISTEN",
		"SAMPLED_LOGLEVEL=debug":            "SAMPLED_LOG_LEVEL",
		"SAMPLED_DATABASE_URI=hunter2":      "SAMPLED_DATABASE_URL",
		"SAMPLED_DATABASE_URLFILE=/hunter2": "SAMPLED_DATABASE_URL_FILE",
		"ORDERS_DB_URL=hunter2":             "ORDERS_DATABASE_URL",
		"sampled_listen=127.0.0.1:5":        "SAMPLED_LISTEN",
		"SAMPLED-LISTEN=127.0.0.1:5":        "SAMPLED_LISTEN",
		"SAMPLED_PATIENCE_PORT=50051":       "SAMPLED_PATIENCE", // of no service: those have an address
	}
	environment := append(slices.Collect(maps.Keys(slips)), "SAMPLED_LISTEN=127.0.0.1:1004",
		"SAMPLED_PORT=tcp://10.0.0.1:50051", "SAMPLED_SERVICE_HOST=10.0.0.1", "SAMPLED_SERVICE_PORT=50051",
		"SAMPLED_SERVICE_PORT_GRPC=50051", "SAMPLED_PORT_50051_TCP=tcp://10.0.0.1:50051",
		"SAMPLED_PORT_50051_TCP_PROTO=tcp", "SAMPLED_PORT_50051_TCP_PORT=50051", "SAMPLED_PORT_50051_TCP_ADDR=10.0.0.1",
		"SAMPLED_ADMIN_SERVICE_HOST=10.0.0.1",                           // of a service sampled-admin
		"ORDERS_DB_PORT=tcp://10.0.0.1:5432",                            // of a service orders-db
		"ORDERD_LISTN=127.0.0.1:5", "SAMPLEDLY=", "SAMPLED=127.0.0.1:5", // somebody else's
	)
	got := map[string]string{}
	p := start(t, environment, "--database-url", url)
	line := p.first
	for ; line["msg"] == "unknown variable" && line["level"] == "WARN"; line = p.line(t) {
		got[line["variable"].(string)] = line["nearest"].(string)
		if strings.Contains(fmt.Sprint(line), "hunter2") {
			t.Errorf("got %v, want no value told", line)
		}
	}
	want := map[string]string{}
	for setting, nearest := range slips {
		name, _, _ := strings.Cut(setting, "=")
		want[name] = nearest
	}
	if !maps.Equal(got, want) {
		t.Errorf("got warnings of %v, want of %v", got, want)
	}
	if line["msg"] != "serving" || line["listen"] != "127.0.0.1:1004" {
		t.Errorf("got %v, want it to serve where it was told to", line)
	}
	if _, stderr, _ := run(t, environment, "version"); stderr != "" {
		t.Errorf("version: got %q, want nothing", stderr)
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

func TestADaemonWithoutADatabaseSaysHowToNameOne(t *testing.T) {
	t.Parallel()
	_, stderr, code := run(t, nil, "serve")
	wantIn(t, stderr, "sampled: no database given: set --database-url or --database-url-file", "--help")
	if code != 1 {
		t.Errorf("got exit %d, want 1", code)
	}
	_, stderr, code = run(t, nil, "serve", "--database-url-file", os.DevNull)
	wantIn(t, stderr, "--database-url-file: /dev/null is empty")
	if code != 1 {
		t.Errorf("an empty file: got exit %d, want 1", code)
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

// An address that can never work is refused at the start, in the first line, whether or not it is empty.
func TestAddressesThatCanNeverWorkAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"SAMPLED_LISTEN=": `--listen: got "", want host:port, or :port for every interface: it is empty; ` +
			`unset, it is 127.0.0.1:1 (from envar SAMPLED_LISTEN="")`,
		"SAMPLED_LISTEN=127.0.0.1":           `--listen: got "127.0.0.1", want host:port`,
		"SAMPLED_LISTEN= ":                   `--listen: got " ", want host:port`,
		"SAMPLED_ADMIN_LISTEN=127.0.0.1:met": `--admin-listen: got "127.0.0.1:met", want host:port`,
		"SAMPLED_PEER=":                      `--peer: got "", want host:port: it is empty; unset, it is 127.0.0.1:3`,
		"SAMPLED_PEER=http://127.0.0.1:1":    `--peer: got "http://127.0.0.1:1", want host:port`,
	} {
		_, stderr, code := run(t, []string{setting}, "serve", "--database-url", url)
		if !strings.HasPrefix(stderr, "sampled: error: "+want) || code == 0 {
			t.Errorf("%s: got %q, exit %d; want it refused: %s", setting, stderr, code, want)
		}
	}
	_, stderr, code := run(t, nil, "serve", "--database-url", url, "--listen=")
	if wantIn(t, stderr, `--listen: got ""`); code != 80 {
		t.Errorf("--listen=: got exit %d, want 80", code)
	}
}

func TestNumbersThatCannotBeMeantAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"SAMPLED_PATIENCE=1ns":  `--patience: got 1ns, want 1ms to 1h (from envar SAMPLED_PATIENCE="1ns")`,
		"SAMPLED_PATIENCE=":     `--patience: expected duration but got ""`,
		"SAMPLED_PATIENCE=60":   `--patience: expected duration but got "60"`,
		"SAMPLED_TIMES=10":      `--times: got 10, want 1 to 9 (from envar SAMPLED_TIMES="10")`,
		"SAMPLED_TIMES=-1":      "--times: got -1, want 1 to 9",
		"SAMPLED_TIMES=1e3":     "--times: expected a valid 64 bit int",
		"SAMPLED_TIMES=":        "--times: expected a valid 64 bit int",
		"SAMPLED_LOG_LEVEL=":    `--log-level: slog: level string "": unknown name`,
		"SAMPLED_LOG_FORMAT=":   `--log-format must be one of "auto","json","text" but got ""`,
		"SAMPLED_REFLECTION=":   "--reflection: bool value must be true",
		"SAMPLED_REFLECTION=on": "--reflection: bool value must be true",
	} {
		_, stderr, code := run(t, []string{setting}, "serve", "--database-url", url)
		if !strings.HasPrefix(stderr, "sampled: error: "+want) || code == 0 {
			t.Errorf("%s: got %q, exit %d; want it refused: %s", setting, stderr, code, want)
		}
	}
}

// An empty address of metrics alone has a meaning: there are none. What another command would refuse is none of this.
func TestAnEmptyAdminAddressIsNone(t *testing.T) {
	t.Parallel()
	got := start(t, []string{"SAMPLED_ADMIN_LISTEN="}, "--database-url", url).first
	if got["msg"] != "serving" || got["admin"] != "" {
		t.Errorf("got %v, want it to serve without metrics", got)
	}
	if _, stderr, code := run(t, []string{"SAMPLED_LISTEN=", "SAMPLED_PEER="}, "version"); code != 0 {
		t.Errorf("version: got exit %d, %s; want 0", code, stderr)
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
