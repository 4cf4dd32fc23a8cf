package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"hosho/internal/rules"
	"hosho/migrations"
)

// strangers is the database of another environment. It is on the payments database's server for want of a third.
const strangers = "strangers"

// wrongPaymentd leads the relays to a paymentd of another environment. It must decide nothing.
func wrongPaymentd(ctx context.Context, s *system, _ *rand.Rand) error {
	s.logs.expectAlarms()
	forever := context.WithoutCancel(ctx)
	if err := s.Payments.CreateDatabase(forever, strangers); err != nil {
		return err
	}
	if _, err := migrations.Payments.Up(forever, s.Payments.URL(strangers), nil); err != nil {
		return err
	}
	paymentd, err := s.Another("paymentd", "stranger", "PAYMENTD_DATABASE_URL="+s.Payments.URL(strangers))
	if err != nil {
		return err
	}
	if err := paymentd.Start(); err != nil {
		return err
	}
	if err := paymentd.WaitReady(forever); err != nil {
		return errors.Join(err, paymentd.Stop())
	}
	s.redirect(paymentd.Address)
	<-ctx.Done()
	s.redirect(s.Paymentd.Address)
	return errors.Join(paymentd.Stop(), s.decidedByStrangers(forever))
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
