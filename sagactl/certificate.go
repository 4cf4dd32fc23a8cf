package main

import (
	"cmp"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"google.golang.org/grpc"

	"hosho/internal/identity"
	"hosho/internal/rpc"
)

// certificate is the flags of who one is to the daemons.
type certificate struct {
	Cert string `name:"tls-cert" env:"SAGACTL_TLS_CERT" placeholder:"FILE" help:"Who you are to the daemons (PEM)."`
	Key  string `name:"tls-key" env:"SAGACTL_TLS_KEY" placeholder:"FILE" help:"The key of that certificate (PEM)."`
	CA   string `name:"tls-ca" env:"SAGACTL_TLS_CA" placeholder:"FILE" help:"The authorities that are trusted (PEM)."`

	keeper *identity.Keeper // nil: nobody, and all is plaintext
}

// AfterApply is called by kong, before those of the flags that are told of it.
func (c *certificate) AfterApply(command *kong.Context) (err error) {
	command.Bind(c)
	files := identity.Files{Cert: c.Cert, Key: c.Key, CA: c.CA}
	if files.None() {
		return nil
	}
	c.keeper, err = identity.Open(files, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	return err
}

// to is how a service is connected with, which is who is expected to be there; by default the one of its name in one's
// own domain.
func (c *certificate) to(service, expected string) grpc.DialOption {
	if c == nil || c.keeper == nil {
		return grpc.EmptyDialOption{}
	}
	return rpc.As(c.keeper, cmp.Or(expected, c.keeper.Beside(service)))
}
