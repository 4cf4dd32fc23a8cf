// Package alerts runs a Prometheus beside a private system, with the alert rules that operators are given, and tells
// which alerts fired.
//
// Its promise: the rules are those of the folder observe, with every duration in them divided by one factor, and it is
// Prometheus that decides. What it was asked to scrape and could not be, once, is an error, and never an alert.
package alerts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"hosho/internal/proc"
	"hosho/internal/wait"
	"hosho/observe"
)

// Config says what is watched. Every field is needed.
type Config struct {
	Dir     string              // for the configuration, the samples and the log
	Scale   int                 // by which each duration of the rules is divided
	Targets map[string][]string // the addresses of /metrics, by job: orderd, paymentd, relay, reconcile
}

const (
	// lookback is how long Prometheus takes a sample for today's, by default.
	lookback = 5 * time.Minute
	// least is how often targets are asked and rules evaluated at most: each answer takes a target a few milliseconds.
	least = 500 * time.Millisecond
	usual = 10 * time.Second // how often with the durations as they are
	// startTime is how long Prometheus may take until it has scraped every target.
	startTime = 30 * time.Second
	stopTime  = 10 * time.Second
	poll      = 50 * time.Millisecond
)

// ErrMissing says that there is no Prometheus on this machine.
var ErrMissing = errors.New("found no prometheus in the PATH: make prometheus installs it")

// Prometheus is one that runs.
type Prometheus struct {
	child   *proc.Child
	address string
	log     string // a file
	began   time.Time
	every   time.Duration // between two evaluations
}

// Start starts a Prometheus and returns when it has scraped every target, and no alert fires for what it had not yet.
func Start(ctx context.Context, c Config) (*Prometheus, error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, ErrMissing
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	port, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	p := &Prometheus{
		address: proc.Address(port), log: filepath.Join(c.Dir, "prometheus.log"),
		every: max(usual/time.Duration(c.Scale), least),
	}
	if err := p.configure(c); err != nil {
		return nil, err
	}
	if err := p.start(program, c); err != nil {
		return nil, err
	}
	if err := p.awaitTargets(ctx, c.Targets); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	p.began = time.Now()
	return p, nil
}

// Every is how often it asks the targets and evaluates the rules.
func (p *Prometheus) Every() time.Duration { return p.every }

// configure writes what Prometheus reads.
func (p *Prometheus) configure(c Config) error {
	var text strings.Builder
	// A target has as long for its answer as there is until the next question: there may be no more.
	fmt.Fprintf(&text, "global:\n  scrape_interval: %s\n  scrape_timeout: %[1]s\n  evaluation_interval: %[1]s\n",
		prometheusDuration(p.every))
	fmt.Fprintf(&text, "rule_files: [alerts.yml]\nscrape_configs:\n")
	for job, addresses := range c.Targets {
		fmt.Fprintf(&text, "  - job_name: %s\n    static_configs: [{targets: [%s]}]\n", job,
			strings.Join(addresses, ", "))
	}
	return errors.Join(
		os.WriteFile(filepath.Join(c.Dir, "alerts.yml"), []byte(observe.Rules(float64(c.Scale))), 0o644),
		os.WriteFile(filepath.Join(c.Dir, "prometheus.yml"), []byte(text.String()), 0o644))
}

func (p *Prometheus) start(program string, c Config) error {
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	cmd := exec.Command(program,
		"--config.file="+filepath.Join(c.Dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(c.Dir, "samples"),
		"--web.listen-address="+p.address, "--log.level=warn",
		"--query.lookback-delta="+prometheusDuration(lookback/time.Duration(c.Scale)))
	cmd.Env = proc.Environment()
	cmd.Stdout, cmd.Stderr = log, log
	if p.child, err = proc.Start(cmd, syscall.SIGKILL); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", program, err), log.Close())
	}
	go func() {
		<-p.child.Exited() // how it ended is in the log
		log.Close()
	}()
	return nil
}

// awaitTargets waits until each target was scraped, and what was missed until then is missed no more.
func (p *Prometheus) awaitTargets(ctx context.Context, targets map[string][]string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	want := 0
	for _, addresses := range targets {
		want += len(addresses)
	}
	for {
		up, err := p.query(ctx, `up == 1`)
		early, failed := p.query(ctx, `ALERTS`)
		if err = errors.Join(err, failed); err == nil && len(up) == want && len(early) == 0 {
			return nil
		}
		select {
		case <-p.child.Exited():
			return fmt.Errorf("prometheus has ended:\n%s", p.said())
		default:
		}
		if !wait.For(ctx, poll) {
			return fmt.Errorf("prometheus has scraped %d of %d targets within %s, and there are alerts %v (%w):\n%s",
				len(up), want, startTime, early, errors.Join(ctx.Err(), err), p.said())
		}
	}
}

// said is what it has logged.
func (p *Prometheus) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Stop ends it. What it has gathered stays in its folder.
func (p *Prometheus) Stop() error {
	p.child.Signal(syscall.SIGTERM)
	select {
	case <-p.child.Exited():
		return nil
	case <-time.After(stopTime):
		p.child.Signal(syscall.SIGKILL)
		return fmt.Errorf("prometheus did not stop within %s", stopTime)
	}
}

var alertName = regexp.MustCompile(`(?m)^\s*- alert: (\w+)`)

// Names are the alerts that there are.
func Names() (names []string) {
	for _, found := range alertName.FindAllStringSubmatch(observe.Rules(1), -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return names
}

// prometheusDuration writes a duration in the one unit that is fine enough.
func prometheusDuration(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }
