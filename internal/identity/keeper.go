package identity

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hosho/internal/reload"
)

// Keeper is a process's certificate and the authorities that it trusts, as its files have them now. Run must be called
// for that: it looks at them every ten seconds.
type Keeper struct {
	*reload.Kept[*material]
}

// Open reads the files. What is wrong with them is its error.
func Open(files Files, log *slog.Logger) (*Keeper, error) {
	for _, part := range []struct{ file, flag string }{
		{files.Cert, "--tls-cert"}, {files.Key, "--tls-key"}, {files.CA, "--tls-ca"},
	} {
		if part.file == "" {
			return nil, fmt.Errorf("%s is missing: a certificate, its key, and the authorities belong together",
				part.flag)
		}
	}
	kept, err := reload.Open("certificate", log, files.check, files.Cert, files.Key, files.CA)
	if err != nil {
		return nil, err
	}
	return &Keeper{kept}, nil
}

// ID is the process's own identity.
func (k *Keeper) ID() string { return k.Load().id.String() }

// Register shows until when the certificate and its authority are good, and what became of changes.
func (k *Keeper) Register(registry *prometheus.Registry) {
	k.Kept.Register(registry)
	for file, until := range map[string]func(*material) time.Time{
		"cert": func(m *material) time.Time { return m.expires },
		"ca":   func(m *material) time.Time { return m.trusted },
	} {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hosho_tls_not_after_timestamp_seconds",
			Help: "Until when what is in use is good: cert, the certificate and those between it and an authority, " +
				"the first that ends; ca, the authority that it is of, the last one where it is of several.",
			ConstLabels: prometheus.Labels{"file": file},
		}, func() float64 { return float64(until(k.Load()).Unix()) }))
	}
}

// Beside returns the identity of a name in the domain of the process's own: spiffe://example.org/orderd, of the
// operator of example.org.
func (k *Keeper) Beside(name string) string { return k.Load().id.TrustDomain().IDString() + "/" + name }
