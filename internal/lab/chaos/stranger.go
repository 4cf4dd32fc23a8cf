package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"hosho/internal/lab/stack"
	"hosho/internal/rules"
	"hosho/migrations"
)

// strangers is the database of another environment. It is on the payments database's server for want of a third.
const strangers = "strangers"

// wrongPaymentd leads the relays to a paymentd of another environment. It must decide nothing.
func wrongPaymentd(ctx context.Context, s *system, _ *rand.Rand) error {
	s.logs.expectAlarms()
	stranger, err := s.startStranger(ctx)
	if err != nil {
		return err
	}
	s.redirect(stranger.Address)
	<-ctx.Done()
	s.redirect(s.Paymentd.Address)
	return s.stopStranger(context.WithoutCancel(ctx), stranger)
}

// startStranger starts a paymentd of another environment.
func (s *system) startStranger(ctx context.Context, env ...string) (*stack.Process, error) {
	ctx = context.WithoutCancel(ctx)
	if err := s.Payments.CreateDatabase(ctx, strangers); err != nil {
		return nil, err
	}
	if _, err := migrations.Payments.Up(ctx, s.Payments.URL(strangers), nil); err != nil {
		return nil, err
	}
	paymentd, err := s.Another("paymentd", "stranger",
		append(env, "PAYMENTD_DATABASE_URL="+s.Payments.URL(strangers))...)
	if err != nil {
		return nil, err
	}
	if err := paymentd.Start(); err != nil {
		return nil, err
	}
	if err := paymentd.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, paymentd.Stop())
	}
	return paymentd, nil
}

// stopStranger stops it, and finds what it has decided.
func (s *system) stopStranger(ctx context.Context, stranger *stack.Process) error {
	return errors.Join(stranger.Stop(), s.decidedByStrangers(ctx))
}

// decidedByStrangers finds what a stranger's paymentd has decided, ever.
func (s *system) decidedByStrangers(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.Payments.URL(strangers))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var n int
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM payments`).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		s.logs.add(Violation{rules.I15, fmt.Sprintf("a stranger's paymentd has decided %d commands", n)})
	}
	return nil
}
