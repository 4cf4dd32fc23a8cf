// Package connect is how the programs of hosho come to their broker: the flags that name it, and a connection that is
// counted.
//
// Its promise: nothing of the saga leaves this machine in plaintext, or to a broker that takes it from everybody,
// unless somebody insists; then it is told at each start. No error names a password.
package connect

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/broker"
)

// Flags name a broker. They are for kong, which knows the variables' prefix as ${env} and the texts as Help has them.
type Flags struct {
	BrokerURL    string `env:"${env}_BROKER_URL" placeholder:"URL" help:"${broker_url_help}"`
	BrokerPrefix string `env:"${env}_BROKER_PREFIX" default:"${broker_prefix}" help:"${broker_prefix_help}"`

	BrokerCredentialsFile string `env:"${env}_BROKER_CREDENTIALS_FILE" placeholder:"FILE" help:"${broker_file_help}"`

	BrokerCA   string `name:"broker-tls-ca" env:"${env}_BROKER_TLS_CA" placeholder:"FILE" help:"${broker_ca_help}"`
	BrokerCert string `name:"broker-tls-cert" env:"${env}_BROKER_TLS_CERT" placeholder:"FILE" help:"${broker_pem_help}"`
	BrokerKey  string `name:"broker-tls-key" env:"${env}_BROKER_TLS_KEY" placeholder:"FILE" help:"${broker_key_help}"`

	InsecureBroker bool `env:"${env}_INSECURE_BROKER" help:"${insecure_broker_help}"`
}

// defaultPrefix is the prefix of who says nothing.
const defaultPrefix = "hosho"

// Help returns the texts for which the tags have no room, by the variables that stand there.
func Help() map[string]string {
	return map[string]string{
		"broker_prefix": defaultPrefix,
		"broker_url_help": "The message broker: nats:// or tls:// (NATS over TLS), amqp:// or amqps:// (RabbitMQ), " +
			"kafka:// or kafkas://, then user:password@ where it wants them, and host:port, several with commas " +
			"between.",
		"broker_prefix_help": "What the names of the topics begin with: it tells environments apart on one broker.",
		"broker_file_help": "A file with user:password, or NATS' file of credentials, to keep them out of the " +
			"environment.",
		"broker_ca_help": "The authorities that the broker's certificate is to be from (PEM); unset, this machine's.",
		"broker_pem_help": "The certificate that tells the broker who this is (PEM). It and the other files are read " +
			"at each connection.",
		"broker_key_help": "The key of that certificate (PEM).",
		"insecure_broker_help": "Take a broker off loopback without TLS, or without telling who this is: whoever " +
			"reaches it can complete orders.",
	}
}

// prefixes are such as every broker takes, and as no two of which have a stream of NATS in common.
var prefixes = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Validate is called by kong.
func (f *Flags) Validate() error {
	if !prefixes.MatchString(f.BrokerPrefix) {
		return fmt.Errorf("--broker-prefix: got %q, want a-z, then up to 39 of a-z, 0-9 and -", f.BrokerPrefix)
	}
	if !f.Given() {
		return f.checkIdle()
	}
	_, err := f.target()
	return err
}

// checkIdle refuses what would do nothing, since no broker is named: whoever gave it believes that one is. That the
// default prefix was given cannot be told. --insecure-broker is taken: it allows something, and asks for nothing.
func (f *Flags) checkIdle() error {
	for flag, given := range map[string]bool{
		"--broker-prefix":           f.BrokerPrefix != defaultPrefix,
		"--broker-credentials-file": f.BrokerCredentialsFile != "",
		"--broker-tls-ca":           f.BrokerCA != "",
		"--broker-tls-cert":         f.BrokerCert != "",
		"--broker-tls-key":          f.BrokerKey != "",
	} {
		if given {
			return fmt.Errorf("%s is given, and no broker: want --broker-url as well, or neither", flag)
		}
	}
	return nil
}

// Given reports whether a broker is named.
func (f *Flags) Given() bool { return f.BrokerURL != "" }

// Addresses returns host:port of each server that is named.
func (f *Flags) Addresses() ([]string, error) {
	t, err := f.target()
	return t.Addresses, err
}

// Kind returns the name of the transport that the URL is of: nats, rabbitmq or kafka.
func (f *Flags) Kind() (string, error) {
	t, err := f.target()
	return t.kind, err
}

// Open connects, by and by: that the broker is away is no error. The client's name is for the broker's operators.
// Without a registry, as a person's command is, nothing is counted, and the log is not told where it leads to.
func (f *Flags) Open(client string, log *slog.Logger, registry prometheus.Registerer) (broker.Broker, error) {
	t, err := f.target()
	if err != nil {
		return nil, err
	}
	if err := f.checkPrivate(log, t); err != nil {
		return nil, err
	}
	t.Client = client
	b, err := dialers[t.kind](t.Config)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if registry == nil {
		return b, nil
	}
	log.Info("broker", "kind", t.kind, "addresses", t.Addresses, "prefix", f.BrokerPrefix)
	return count(b, registry, f.InsecureBroker && t.exposed() != ""), nil
}

// checkPrivate refuses a way to the broker on which others may read along or join in, unless somebody insists.
func (f *Flags) checkPrivate(log *slog.Logger, t target) error {
	host := t.exposed()
	switch {
	case host == "":
		return nil
	case !f.InsecureBroker:
		return fmt.Errorf("broker URL: host %s is off loopback: want %s:// and a user with a password, or "+
			"--broker-tls-cert; or say --insecure-broker", host, t.secure())
	}
	log.Warn("the broker is off loopback, and reached without TLS or without authentication", "host", host,
		"means", "whoever is between, or reaches it, may read and write events, and so complete orders",
		"do", t.secure()+":// and a user with a password, or --broker-tls-cert")
	return nil
}

// target returns what all flags together lead to.
func (f *Flags) target() (target, error) {
	if !f.Given() {
		return target{}, errors.New("no broker given: set --broker-url or its environment variable (see --help)")
	}
	t, err := parse(f.BrokerURL)
	if err != nil {
		return target{}, fmt.Errorf("broker URL: %w", err)
	}
	if err := f.addTLS(&t); err != nil {
		return target{}, err
	}
	return t, f.addCredentials(&t)
}

func (f *Flags) addTLS(t *target) error {
	switch {
	case t.TLS == nil && f.BrokerCA+f.BrokerCert+f.BrokerKey != "":
		return fmt.Errorf("--broker-tls-ca, --broker-tls-cert and --broker-tls-key are for TLS: want a broker URL "+
			"with %s://", t.secure())
	case (f.BrokerCert == "") != (f.BrokerKey == ""):
		return errors.New("--broker-tls-cert and --broker-tls-key go together: one of them is missing")
	case t.TLS != nil:
		*t.TLS = broker.TLS{CA: f.BrokerCA, Cert: f.BrokerCert, Key: f.BrokerKey}
	}
	return nil
}

func (f *Flags) addCredentials(t *target) error {
	if f.BrokerCredentialsFile == "" {
		return nil
	}
	if t.User != "" {
		return errors.New("a user is both in the broker URL and in --broker-credentials-file: want one of them")
	}
	text, err := os.ReadFile(f.BrokerCredentialsFile)
	if err != nil {
		return fmt.Errorf("--broker-credentials-file: %w", err)
	}
	if t.kind == NATS && strings.Contains(string(text), "-----BEGIN NATS USER JWT-----") {
		t.CredentialsFile = f.BrokerCredentialsFile
		return nil
	}
	user, password, ok := strings.Cut(strings.TrimSpace(string(text)), ":")
	if !ok || user == "" || password == "" {
		return fmt.Errorf("--broker-credentials-file: %s has no user:password", f.BrokerCredentialsFile)
	}
	t.User, t.Password = user, password
	return nil
}
