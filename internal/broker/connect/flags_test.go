package connect_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"hosho/internal/broker/connect"
)

// parse is what a program does with its command line.
func parse(t *testing.T, args ...string) (*connect.Flags, error) {
	t.Helper()
	var cli struct{ connect.Flags }
	parser, err := kong.New(&cli, kong.Vars{"env": "SAMPLED"}, kong.Vars(connect.Help()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return &cli.Flags, err
}

func TestTheTransportIsThatOfTheURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://127.0.0.1":               connect.NATS,
		"tls://a.example:4222,b.example": connect.NATS,
		"amqp://u:p@[::1]:5672/shop":     connect.RabbitMQ,
		"amqps://a.example":              connect.RabbitMQ,
		"kafka://a.example:9092,b.example:9092?mechanism=SCRAM-SHA-512": connect.Kafka,
		"kafkas://u:p%40ss@a.example":                                   connect.Kafka,
	} {
		flags, err := parse(t, "--broker-url="+url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if got, err := flags.Kind(); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", url, got, err, want)
		}
	}
}

func TestAURLThatCanNeverWorkIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, want string }{
		{"localhost:4222", "want nats://"},
		{"http://localhost", "want nats://"},
		{"nats://", "want nats://"},
		{"nats://u:hunter2@", "want host:port"},
		{"nats://hunter2@localhost", "no user:password"},
		{"nats://u:hunter2%zz@localhost", "no user:password"},
		{"nats://u:hunter2@localhost/path", "want none"},
		{"kafka://a,,b", "want host:port"},
		{"kafka://u:hunter2@a?mechanism=GSSAPI", "want PLAIN"},
		{"nats://u:hunter2@localhost:65536", "got the port 65536, want 1 to 65535"},
		{"kafka://a:9092,b:0", "got the port 0"},
		{"amqp://a:amqp", "got the port amqp"},
		{"amqp://u:hunter2@a?heartbeat=1", "?heartbeat: not known"},
	} {
		_, err := parse(t, "--broker-url="+tt.url)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error with %q and no password", tt.url, err, tt.want)
		}
	}
}

func TestAPrefixIsOneThatEveryBrokerTakes(t *testing.T) {
	t.Parallel()
	for prefix, good := range map[string]bool{
		"hosho": true, "shop-2": true, "": false, "a.b": false, "a_b": false, "Shop": false, "2": false,
		strings.Repeat("a", 41): false,
	} {
		if _, err := parse(t, "--broker-url=nats://127.0.0.1", "--broker-prefix="+prefix); (err == nil) != good {
			t.Errorf("%q: got %v, want it to be taken: %v", prefix, err, good)
		}
	}
}

// Whoever says something about a broker believes that there is one. What compose gives in any case is taken.
func TestWhatIsSaidAboutNoBrokerIsRefused(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{
		"--broker-prefix=shop", "--broker-credentials-file=credentials", "--broker-tls-ca=ca.pem",
		"--broker-tls-cert=cert.pem", "--broker-tls-key=key.pem",
	} {
		flag, _, _ := strings.Cut(arg, "=")
		_, err := parse(t, "--broker-url=", arg)
		if err == nil || !strings.Contains(err.Error(), flag+" is given, and no broker: want --broker-url") {
			t.Errorf("%s: got %v, want it refused, since there is no broker", arg, err)
		}
	}
	for _, arg := range []string{"--broker-url=", "--broker-prefix=hosho", "--insecure-broker"} {
		if _, err := parse(t, arg); err != nil {
			t.Errorf("%s: got %v, want it taken", arg, err)
		}
	}
}

// A broker off loopback is refused before anything is connected, unless it is told who this is, over TLS.
func TestABrokerOffLoopbackWantsTLSAndAuthentication(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials")
	if err := os.WriteFile(credentials, []byte("alice:hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--broker-url=nats://broker.example"}, "want tls:// and a user"},
		{[]string{"--broker-url=tls://broker.example"}, "want tls:// and a user"},
		{[]string{"--broker-url=nats://alice:hunter2@broker.example"}, "want tls:// and a user"},
		{
			[]string{"--broker-url=nats://broker.example", "--broker-credentials-file=" + credentials},
			"want tls:// and a user",
		},
		{[]string{"--broker-url=nats://127.0.0.1,broker.example"}, "host broker.example is off loopback"},
		{[]string{"--broker-url=nats://127.0.0.1", "--broker-tls-ca=ca.pem"}, "want a broker URL with tls://"},
		{[]string{"--broker-url=tls://127.0.0.1", "--broker-tls-cert=cert.pem"}, "go together"},
		{
			[]string{"--broker-url=tls://alice:hunter2@a.example", "--broker-credentials-file=" + credentials},
			"want one of them",
		},
	} {
		flags, err := parse(t, tt.args...)
		if err == nil {
			_, err = flags.Open("test", slog.New(slog.DiscardHandler), nil)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: got %v, want an error with %q and no password", tt.args, err, tt.want)
		}
	}
	for _, args := range [][]string{
		{"--broker-url=nats://127.0.0.1:1"},
		{"--broker-url=tls://broker.invalid", "--broker-credentials-file=" + credentials},
	} {
		flags, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := flags.Open("test", slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Errorf("%v: got %v, want it to be taken", args, err)
			continue
		}
		b.Close()
	}
}

// The log says at the start where a program looks for its broker, and nothing of who it is there.
func TestTheLogSaysWhichBrokerIsMeantAndNoPassword(t *testing.T) {
	t.Parallel()
	flags, err := parse(t, "--broker-url=nats://alice:hunter2@127.0.0.1:1,127.0.0.1:2", "--broker-prefix=shop")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	b, err := flags.Open("test", slog.New(slog.NewTextHandler(&said, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const want = `level=INFO msg=broker kind=nats addresses="[127.0.0.1:1 127.0.0.1:2]" prefix=shop`
	if got := said.String(); !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
		t.Errorf("got %q in the log, want %q and no password", got, want)
	}
}

// Somebody insists. Each start says so, and the metrics as long as it runs.
func TestAnInsecureBrokerIsTold(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]float64{"nats://broker.invalid": 1, "nats://127.0.0.1:1": 0} {
		flags, err := parse(t, "--broker-url="+url, "--insecure-broker")
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		registry := prometheus.NewRegistry()
		b, err := flags.Open("test", slog.New(slog.NewTextHandler(&said, nil)), registry)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		wantText := "# HELP hosho_insecure 1 where something is in plaintext off loopback, as a flag allows, by what " +
			"it is; else 0.\n# TYPE hosho_insecure gauge\nhosho_insecure{what=\"broker\"} " +
			map[float64]string{0: "0", 1: "1"}[want] + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(wantText), "hosho_insecure"); err != nil {
			t.Error(err)
		}
		if warned := strings.Contains(said.String(), "level=WARN"); warned != (want == 1) {
			t.Errorf("%s: got %q in the log, want a warning: %v", url, said.String(), want == 1)
		}
	}
}
