package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"hosho/internal/lab/alerts"
	"hosho/internal/proc"
)

// Alert is an alert that fired, for one set of labels.
type Alert struct {
	Name   string
	Labels string        // the others, such as kind="CHARGE"
	First  time.Duration // when it did, since the run began
	For    time.Duration // how long in all
}

// watch has a Prometheus look at everybody from now on, if somebody wants to know of alerts.
func (r *run) watch(ctx context.Context) (err error) {
	if r.AlertScale == 0 {
		return nil
	}
	targets := map[string][]string{"reconcile": {r.comparer.address}}
	for _, p := range r.Daemons() {
		job := filepath.Base(p.Program())
		targets[job] = append(targets[job], p.AdminAddress)
	}
	r.prometheus, err = alerts.Start(ctx, alerts.Config{
		Dir: filepath.Join(r.Config.Dir, "prometheus"), Scale: r.AlertScale, Targets: targets,
	})
	if err == nil {
		r.say("  prometheus looks each %s, and the durations of the rules are divided by %d", r.prometheus.Every(),
			r.AlertScale)
	}
	return err
}

// fired returns the alerts that fired so far.
func (r *run) fired(ctx context.Context) ([]Alert, error) {
	if r.prometheus == nil {
		return nil, nil
	}
	found, err := r.prometheus.Fired(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Alert, len(found))
	for i, f := range found {
		all[i] = Alert{f.Alert, f.Labels, f.First.Sub(r.began), f.For}
	}
	return all, nil
}

// comparer is sagactl reconcile as a service, which compares the two databases all the time.
type comparer struct {
	program string
	args    []string
	env     []string
	address string // of its /metrics
	log     string // a file
	child   *proc.Child
}

// How often the databases are compared, with the durations as they are: what has changed, and all of it. The service
// itself does the latter once a night.
const (
	compareEvery = 5 * time.Minute
	compareAll   = 10 * time.Minute
	leaveTime    = 10 * time.Second
)

// startComparer starts it, with its durations divided as those of the rules are.
func (s *system) startComparer(c Config) error {
	port, err := proc.FreePort()
	if err != nil {
		return err
	}
	scaled := func(d time.Duration) string { return (d / time.Duration(c.AlertScale)).String() }
	s.comparer = &comparer{
		program: filepath.Join(c.Bin, "sagactl"), address: proc.Address(port),
		log: filepath.Join(c.Dir, "reconcile.log"),
		env: []string{"ORDERS_DATABASE_URL=" + s.OrdersURL(), "PAYMENTS_DATABASE_URL=" + s.PaymentsURL()},
	}
	s.comparer.args = []string{
		"reconcile", "--every", scaled(compareEvery), "--full-every", scaled(compareAll),
		"--listen", s.comparer.address,
	}
	return s.comparer.start()
}

func (c *comparer) start() error {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.program, c.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = proc.Environment(c.env...), log, log
	if c.child, err = proc.Start(cmd, syscall.SIGKILL); err != nil {
		return errors.Join(fmt.Errorf("start reconcile: %w", err), log.Close())
	}
	go func() {
		<-c.child.Exited() // how it ended is in the log
		log.Close()
	}()
	return nil
}

// stop ends it, and tells if it had ended by itself.
func (c *comparer) stop() error {
	select {
	case <-c.child.Exited():
		text, err := os.ReadFile(c.log)
		return errors.Join(fmt.Errorf("reconcile has ended by itself:\n%s", text), err)
	default:
	}
	c.child.Signal(syscall.SIGTERM)
	select {
	case <-c.child.Exited():
		return nil
	case <-time.After(leaveTime):
		c.child.Signal(syscall.SIGKILL)
		return fmt.Errorf("reconcile did not stop within %s", leaveTime)
	}
}

// stopComparing has nobody compare the databases for a while.
func stopComparing(ctx context.Context, s *system, _ *rand.Rand) error {
	if err := s.comparer.stop(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.comparer.start()
}
