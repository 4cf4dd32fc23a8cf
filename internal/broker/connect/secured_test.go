package connect_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hosho/internal/authority"
	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/wait"
)

// relay is the one whom a guarded broker knows, by his password or by his certificate.
const relay, password = "relay", "hunter2"

// guarded is a broker that talks over TLS alone, with its user.
type guarded struct {
	kind, url string
	certs     string // the folder of the certificates; in stranger below it is another authority
}

func guard(t *testing.T, kind string, mutual bool) guarded {
	t.Helper()
	g := guarded{kind: kind, certs: t.TempDir()}
	for _, folder := range []string{g.certs, g.file("stranger")} {
		if _, err := authority.Fill(folder, []string{"broker", relay}, []string{"127.0.0.1"}); err != nil {
			t.Fatal(err)
		}
	}
	g.url = brokertest.StartSecured(t, kind, &brokers.Secured{
		Cert: g.file("broker", authority.CertFile), Key: g.file("broker", authority.KeyFile),
		CA: g.file(authority.CAFile), User: relay, Password: password, Mutual: mutual,
	}).URL()
	return g
}

func (g guarded) file(path ...string) string {
	return filepath.Join(append([]string{g.certs}, path...)...)
}

// by are the flags of whoever knows a password, and the authority.
func (g guarded) by(t *testing.T, password string) connect.Flags {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte(relay+":"+password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return connect.Flags{
		BrokerURL: g.url, BrokerPrefix: "t" + uuid.NewString()[:8], BrokerCA: g.file(authority.CAFile),
		BrokerCredentialsFile: file,
	}
}

// Whom it knows may do everything. Whoever is kept out is told by what: one mends a password, another a file.
func TestASecuredBrokerTakesItsUserAndTellsOthersWhatIsWrong(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		g := guard(t, kind, false)
		ways := map[string]connect.Flags{"a password": g.by(t, password)}
		switch kind {
		case brokers.Kafka:
			scram := g.by(t, password)
			scram.BrokerURL += "?mechanism=SCRAM-SHA-512"
			ways["a password that is not sent"] = scram
		case brokers.RabbitMQ:
			ways["a certificate"] = connect.Flags{
				BrokerURL: g.url, BrokerPrefix: "t" + uuid.NewString()[:8], BrokerCA: g.file(authority.CAFile),
				BrokerCert: g.file(relay, authority.CertFile), BrokerKey: g.file(relay, authority.KeyFile),
			}
		}
		for way, flags := range ways {
			t.Run(way, func(t *testing.T) {
				c := makeCornerAs(t, flags)
				events := c.events(3)
				c.publish(t, events...)
				same(t, takeAll(t, c.subscribe(c), len(events)), events)
			})
		}
		wrongPassword, wrongCA := g.by(t, "hunter3"), g.by(t, password)
		wrongCA.BrokerCA = g.file("stranger", authority.CAFile)
		unknown := "certificate signed by unknown authority"
		refused := map[string]string{
			brokers.NATS: "Authorization Violation", brokers.RabbitMQ: "username or password not allowed",
			brokers.Kafka: "SASL_AUTHENTICATION_FAILED",
		}[kind]
		for name, tt := range map[string]struct {
			flags           connect.Flags
			want, says, not string
		}{
			"a wrong password":  {wrongPassword, refused, "look at the user and the password", unknown},
			"a wrong authority": {wrongCA, unknown, "look at the authorities", refused},
		} {
			t.Run(name, func(t *testing.T) {
				err := kept(t, tt.flags, tt.want)
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.says) ||
					strings.Contains(err.Error(), tt.not) || strings.Contains(err.Error(), "hunter") {
					t.Errorf("got %v, want an error with %q and %q, and no password", err, tt.want, tt.says)
				}
				_, away := errors.AsType[*broker.Unreachable](err)
				if denied := broker.IsDenied(err); !away || denied != (tt.want == refused) {
					t.Errorf("got %v denied, and %v unreachable, of %v", denied, away, err)
				}
			})
		}
	})
}

// A broker that wants certificates as well takes who shows one, and tells others that it is about theirs.
func TestABrokerThatWantsCertificatesTakesNobodyWithout(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		g := guard(t, kind, true)
		shown := g.by(t, password)
		shown.BrokerCert, shown.BrokerKey = g.file(relay, authority.CertFile), g.file(relay, authority.KeyFile)
		c := makeCornerAs(t, shown)
		events := c.events(3)
		c.publish(t, events...)
		same(t, takeAll(t, c.subscribe(c), len(events)), events)

		const want = "look at the certificate and its key"
		if err := kept(t, g.by(t, password), want); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	})
}

// kept returns the error of a publish that says why nobody is let in. The first may say only that there is no
// connection yet.
func kept(t *testing.T, flags connect.Flags, want string) (err error) {
	t.Helper()
	b, err := flags.Open(t.Name(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	c := &corner{Broker: b, prefix: flags.BrokerPrefix}
	for ctx := bound(t); ; {
		within, cancel := context.WithTimeout(ctx, 2*time.Second) // as a relay
		err := b.Publish(within, c.events(1))[0]
		cancel()
		if err == nil || strings.Contains(err.Error(), want) || !wait.For(ctx, broker.KeepFor) {
			return err
		}
	}
}
