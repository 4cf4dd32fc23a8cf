package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"hosho/internal/authority"
	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/rules"
	"hosho/internal/wait"
)

// The daemons are left alone by all else meanwhile: with an expired certificate one that has died does not start.
var certificateFaults = []fault{
	{
		name: "expired-certificate", says: "a daemon's certificate runs out, and the next one is late",
		targets: []string{orderd, paymentd, relays, net, peer}, weight: 6, certificates: true,
		lasts: between(certificateLeft+5*time.Second, certificateLeft+15*time.Second), run: expireCertificate,
	},
}

const (
	certificateLeft = 8 * time.Second  // from when it is made until it runs out
	takenWithin     = 30 * time.Second // a new certificate, which is looked for every ten seconds
)

// expireCertificate has the certificate that a daemon holds run out, and cuts the links, since connections live on.
// Whoever does not get to paymentd waits: no order is given up for it. It is healed when the daemon has found the next
// certificate by itself.
func expireCertificate(ctx context.Context, s *system, random *rand.Rand) error {
	forever := context.WithoutCancel(ctx)
	victims := []who{(*system).orderd, (*system).paymentd, (*system).relays}[random.IntN(3)](s) // relays have one
	var from time.Time
	var err error
	if s.alone { // else another fault may have the database down
		if from, err = s.now(forever); err != nil {
			return err
		}
	}
	for _, p := range victims {
		if err := p.WaitReady(forever); err != nil { // the signal ends who is not yet
			return err
		}
	}
	until := time.Now().Add(certificateLeft)
	if err := s.Certify(victims[0], until); err != nil {
		return err
	}
	for _, p := range victims {
		p.Signal(syscall.SIGHUP)
	}
	if err := s.awaitTaken(forever, victims, until); err != nil {
		return err
	}
	wait.For(forever, time.Until(until)+poll)
	for _, p := range s.toPaymentd {
		p.Reset()
	}
	entered := s.enters(forever, victims[0])
	s.tell("  expired-certificate: that of %s", victims[0].Name)
	<-ctx.Done()
	good := time.Now().Add(authority.CertificatesTime)
	err = errors.Join(entered, s.Certify(victims[0], good), s.awaitTaken(forever, victims, good))
	if err != nil || !s.alone {
		return err
	}
	return s.judgeExpired(forever, from)
}

// awaitTaken waits until daemons have the certificate that is good until a time.
func (s *system) awaitTaken(ctx context.Context, by []*stack.Process, until time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, takenWithin)
	defer cancel()
	for _, p := range by {
		for {
			has, err := metric(ctx, p, `hosho_tls_not_after_timestamp_seconds{file="cert"}`)
			if err == nil && int64(has) == until.Unix() {
				break
			}
			if !wait.For(ctx, poll) {
				return errors.Join(err, fmt.Errorf("%s has a certificate that is good until %s, want the one until %s",
					p.Name, time.Unix(int64(has), 0), until))
			}
		}
	}
	return nil
}

// enters returns an error when a new connection to a daemon is made all the same.
func (s *system) enters(ctx context.Context, p *stack.Process) error {
	conn, err := s.Dial(p, "operator")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable {
		return fmt.Errorf("%s has an expired certificate: got %v from a new connection, want it refused", p.Name, err)
	}
	return nil
}

// judgeExpired finds ordinary orders that were given up for it.
func (s *system) judgeExpired(ctx context.Context, from time.Time) error {
	var given int
	err := s.orders.QueryRow(ctx, `
		SELECT count(*)
		FROM orders
		WHERE updated_at >= $1 AND amount_minor <= $2 AND cancel_reason IN ('PAYMENT_FAILED', 'DEADLINE')`,
		from, load.MostAmount).Scan(&given)
	if err == nil && given > 0 {
		s.blame(Violation{rules.Steady, fmt.Sprintf("%d orders were given up for an expired certificate", given)})
	}
	return err
}
