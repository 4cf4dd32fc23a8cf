// Package stack runs the whole system as child processes: two PostgreSQL servers, the migrations, orderd, paymentd, any
// number of relays, and a broker, where the saga is to travel by one. The demo, the experiments and the end-to-end
// tests stand on it.
//
// Its promise: these are the real programs on real databases, each with a process of its own that may be killed and
// started again; and after Stop no process is left, and no directory that Start made. On Linux that holds even when
// the process that runs the stack is killed, but for the directory, which the next one removes.
package stack

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"hosho/internal/lab/brokers"
	"hosho/internal/pgembed"
	"hosho/internal/proc"
)

// Simulate is the simulated card network of the demo: what amounts make paymentd do.
const Simulate = "9999:internal,9998:reply-lost,9997:hang,9996:decline"

// Config says what to run.
type Config struct {
	Bin        string // the folder with the daemons that Build has built
	Dir        string // for data and logs; empty: a new one, which Stop removes
	Durable    bool   // databases that survive a crash of the machine, as everywhere but in quick tests
	Standbys   bool   // a synchronous standby for each database, for Failover; it means something only with Durable
	FixedPorts bool   // the daemons' default addresses; free ones otherwise
	Admin      bool   // /metrics of every daemon, on free ports; otherwise only with FixedPorts, where they belong
	HTTP       bool   // orderd's JSON door: at its usual address with FixedPorts, and otherwise on a free port
	Relays     int    // at least 1
	Simulate   string // paymentd's rules; empty: none
	Roles      bool   // each program has a login of its own, as sagactl bootstrap makes them; else the superuser's
	Password   string // of these logins; empty: one made up for each
	Env        []string
	Settings   map[string]string             // of both databases, beside those of pgembed; may be nil
	ServerEnv  map[string][]string           // of a database's server, by the database's name; may be nil
	LogTo      func(daemon string) io.Writer // a second place for a daemon's log; may be nil
	Progress   func(step string)             // told what happens; may be nil

	// Transport is what the saga's commands travel by: Calls, or a kind of broker, of which the stack then runs one of
	// its own. Empty: Calls. InstalledBroker is as brokers.Config has it.
	Transport       string
	InstalledBroker bool

	// TLS gives each daemon a certificate and the shipped policy, in the folder certs below Dir. Whoever calls them has
	// one as well, by Stack.Dial.
	TLS bool

	// Poolers has the daemons work through a PgBouncer in transaction mode before each database, with these settings,
	// and LISTEN past it. nil: there is none.
	Poolers map[string]string

	// Route may lead a connection of a daemon through something else: it is given who connects to what ("relay-2" to
	// "orders"), and its address, and returns the address that the daemon is told. nil: every connection is direct.
	Route func(from, to, address string) (string, error)
}

// Stack is a running system.
type Stack struct {
	Dir              string
	Orders, Payments *pgembed.Server // the primaries
	Orderd, Paymentd *Process
	Relays           []*Process
	Broker           *brokers.Broker // nil unless Config.Transport asks for one

	OrdersStandby, PaymentsStandby *pgembed.Server // nil unless Config.Standbys

	config  Config
	folder  *proc.Folder               // that Start made; nil: Config.Dir
	poolers map[string]*pgembed.Pooler // by the databases' names

	certs     certificates
	passwords map[string]string // by login; empty unless Config.Roles
}

// NewFolder makes a temporary folder for what belongs to systems, whose databases may run as another user. When this
// program is killed, the next one that makes such a kind removes it.
func NewFolder(kind string) (*proc.Folder, error) {
	folder, err := proc.NewFolder("", kind)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(folder.Path(), 0o755); err != nil {
		return nil, errors.Join(err, folder.Remove())
	}
	return folder, nil
}

// Daemons returns every daemon of the stack.
func (s *Stack) Daemons() []*Process {
	return append([]*Process{s.Orderd, s.Paymentd}, s.Relays...)
}

// Start starts everything and waits until it is ready. When something fails, it stops the rest. It takes out of this
// process's environment what would lead somebody who connects to the system elsewhere.
func Start(ctx context.Context, config Config) (*Stack, error) {
	proc.Isolate()
	s := &Stack{config: config, Dir: config.Dir}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := checkPrograms(s.config.Bin); err != nil {
		return err
	}
	if s.config.FixedPorts {
		n := 2 + s.config.Relays
		ports := append(fixedPorts(firstPort, n), fixedPorts(firstAdminPort, n)...)
		if s.config.HTTP {
			ports = append(ports, httpPort)
		}
		if err := checkFree(ports...); err != nil {
			return err
		}
	}
	if err := s.startServers(ctx); err != nil {
		return err
	}
	if err := s.makeRoles(ctx); err != nil {
		return err
	}
	if err := s.startPoolers(ctx); err != nil {
		return err
	}
	if s.config.TLS {
		var err error
		if s.certs, err = certify(filepath.Join(s.Dir, "certs")); err != nil {
			return err
		}
	}
	if err := s.describe(); err != nil {
		return err
	}
	s.progress("migrating both databases")
	if err := s.migrate(ctx); err != nil {
		return err
	}
	s.progress("starting orderd, paymentd and relay")
	for tries := 1; ; tries++ {
		err := s.startDaemons(ctx)
		if s.config.FixedPorts || tries == portTries || !errors.Is(err, ErrPortTaken) {
			return err
		}
		if err := errors.Join(s.stopDaemons(), s.describe()); err != nil {
			return err
		}
	}
}

// portTries is how often the daemons are started, because somebody took a port between its choice and the start.
const portTries = 3

func (s *Stack) startDaemons(ctx context.Context) error {
	for _, p := range s.Daemons() {
		if err := p.Start(); err != nil {
			return err
		}
	}
	for _, p := range s.Daemons() {
		if err := p.WaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) stopDaemons() error {
	var group errgroup.Group
	for _, p := range s.running() {
		group.Go(p.Stop)
	}
	return group.Wait()
}

func (s *Stack) progress(step string) {
	if s.config.Progress != nil {
		s.config.Progress(step)
	}
}

func (s *Stack) makeDir() (err error) {
	if s.Dir == "" {
		if s.folder, err = NewFolder("stack"); err == nil {
			s.Dir = s.folder.Path()
		}
		return err
	}
	return os.MkdirAll(s.Dir, 0o755)
}

// Stop stops the daemons, then the databases, and removes the directory if Start made it. It may be called again.
func (s *Stack) Stop() error {
	err := s.stopDaemons()
	for _, pooler := range s.poolers {
		err = errors.Join(err, pooler.Stop())
	}
	for _, server := range s.all() {
		err = errors.Join(err, server.Stop())
	}
	if s.Broker != nil {
		s.Broker.Close()
	}
	if s.folder != nil {
		err = errors.Join(err, s.folder.Remove())
	}
	return err
}

// running returns the daemons that start has got to.
func (s *Stack) running() []*Process {
	if s.Orderd == nil {
		return nil
	}
	return s.Daemons()
}
