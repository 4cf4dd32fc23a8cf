package brokers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// protocol is how Kafka calls what clients speak with it.
func (k *kafka) protocol() string {
	if k.secured != nil {
		return "SASL_SSL"
	}
	return "PLAINTEXT"
}

// security are the settings of a secured node. It is a client of itself, and so has the user's password as well.
func (k *kafka) security() (string, error) {
	s := k.secured
	if s == nil {
		return "", nil
	}
	cert, err := os.ReadFile(s.Cert)
	if err != nil {
		return "", err
	}
	key, err := os.ReadFile(s.Key)
	if err != nil {
		return "", err
	}
	both := filepath.Join(k.dir, "server.pem") // as Kafka wants them
	if err := os.WriteFile(both, bytes.Join([][]byte{key, cert}, nil), 0o600); err != nil {
		return "", err
	}
	const of, modules = "listener.name.sasl_ssl.", "org.apache.kafka.common.security."
	clients := "none"
	if s.Mutual {
		clients = "required"
	}
	return strings.Join([]string{
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + both,
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + s.CA,
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
		"sasl.mechanism.inter.broker.protocol=PLAIN",
		of + "ssl.client.auth=" + clients, // else it is not asked of who says a password
		of + "plain.sasl.jaas.config=" + modules + fmt.Sprintf(
			"plain.PlainLoginModule required username=%q password=%q user_%s=%[2]q;", s.User, s.Password, s.User),
		of + "scram-sha-512.sasl.jaas.config=" + modules + "scram.ScramLoginModule required;",
		"",
	}, "\n"), nil
}
