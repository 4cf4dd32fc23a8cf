package main

import (
	"context"
	"errors"
	"fmt"

	"hosho/internal/lab/demo"
	"hosho/internal/lab/stack"
	"hosho/internal/terminal"
)

type demoRun struct {
	Naive bool `help:"Play them the naive way: cancel on any error. Shows what that leaves behind, and exits 1."`

	NoCompensation bool `help:"With --naive: do not even cancel."`

	TLS bool `name:"tls" help:"Give everybody a certificate, and hold each call against a policy."`

	transportFlag
}

// Validate is called by kong.
func (d *demoRun) Validate() error {
	if d.NoCompensation && !d.Naive {
		return errors.New("--no-compensation goes with --naive: the saga always compensates")
	}
	if d.Naive && d.Transport != stack.Calls {
		return fmt.Errorf("--naive calls paymentd: it goes with --transport %s alone", stack.Calls)
	}
	return nil
}

// Run plays the demo. It returns errDiffers when what it proves does not hold.
func (d *demoRun) Run(ctx context.Context, screen *terminal.Terminal) error {
	holds, err := demo.Run(ctx, screen, demo.Config{
		Naive: d.Naive, NoCompensation: d.NoCompensation, TLS: d.TLS, Transport: d.Transport,
	})
	if err == nil && !holds {
		return errDiffers
	}
	return err
}
