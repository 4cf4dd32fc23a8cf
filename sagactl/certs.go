package main

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hosho/internal/authority"
	"hosho/internal/policy"
	"hosho/internal/terminal"
)

type certs struct {
	Dir    string   `type:"path" default:"certs" env:"CERTS" placeholder:"FOLDER" help:"Where they are, or are made."`
	Host   []string `help:"Names or addresses by which the daemons are dialled, beside localhost and their own names."`
	Policy string   `type:"path" placeholder:"FILE" help:"Where the policy is, or is made; by default with them."`
	Export string   `placeholder:"NAME" help:"Make nothing, and write the files of one identity to stdout, as a tar."`
}

// servers are who has a certificate and is in no policy, beside those who are.
var servers = []string{"orderd", "paymentd"}

const policyFile = "policy"

// Run makes an authority for development, a certificate for each identity, and the policy.
func (c *certs) Run(_ context.Context, screen *terminal.Terminal) error {
	names := append(slices.Clone(servers), policy.Names()...)
	if c.Export != "" {
		return c.export(names)
	}
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, c.Host...)
	if _, err := authority.Fill(c.Dir, names, hosts); err != nil {
		return err
	}
	allowed := cmp.Or(c.Policy, filepath.Join(c.Dir, policyFile))
	if err := writeNew(allowed, policy.Shipped(authority.ID)); err != nil {
		return err
	}
	until := time.Now().Add(authority.CertificatesTime).UTC().Format(time.DateOnly)
	screen.Line("certificates of %s, good until %s, are in %s", strings.Join(names, ", "), until, c.Dir)
	screen.Line("who may what is in %s", allowed)
	own := filepath.Join(c.Dir, "orderd")
	screen.Line(`
# A daemon has its own, and the policy:
orderd --tls-cert %[1]s/%[2]s --tls-key %[1]s/%[3]s --tls-ca %[1]s/%[4]s --allow %[5]s

# The relay says besides who paymentd must be:
relay --payment-identity %[7]s --tls-cert ...
# Place an order as the shop:
grpcurl -cert %[6]s/%[2]s -key %[6]s/%[3]s -cacert %[6]s/%[4]s -d '{"customer_id": "ada", "currency_code": "JPY",
  "items": [{"name": "tea", "quantity": 2, "unit_price": 600}]}' 127.0.0.1:50051 order.v1.OrderService/CreateOrder`,
		own, authority.CertFile, authority.KeyFile, authority.CAFile, allowed, filepath.Join(c.Dir, "shop"),
		authority.ID("paymentd"))
	return nil
}

// writeNew writes a file, unless there is one, which somebody may have changed.
func writeNew(file, text string) error {
	made, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = made.WriteString(text)
	return errors.Join(err, made.Close())
}

// export writes the files of an identity, in a folder of its name.
func (c *certs) export(names []string) error {
	if !slices.Contains(names, c.Export) {
		return fmt.Errorf("--export: got %q, want one of %s", c.Export, strings.Join(names, ", "))
	}
	out := tar.NewWriter(os.Stdout)
	for _, name := range []string{authority.CertFile, authority.KeyFile, authority.CAFile} {
		text, err := os.ReadFile(filepath.Join(c.Dir, c.Export, name))
		if err != nil {
			return err
		}
		header := &tar.Header{Name: c.Export + "/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: time.Now()}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return out.Close()
}
