package pgembed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hosho/internal/proc"
)

// FindPooler returns the program PgBouncer: from PATH, then from where packages put what only administrators run. When
// there is none its error says how to install it.
func FindPooler() (string, error) {
	if program, err := exec.LookPath("pgbouncer"); err == nil {
		return filepath.Abs(program)
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"} {
		if program, err := exec.LookPath(filepath.Join(dir, "pgbouncer")); err == nil {
			return program, nil
		}
	}
	command := "apt-get install -y pgbouncer"
	if runtime.GOOS == "darwin" {
		command = "brew install pgbouncer"
	}
	return "", fmt.Errorf("no PgBouncer found: install it with `%s`, or let `make pgbouncer` do it", command)
}

// PoolerConfig says what PgBouncer to start.
type PoolerConfig struct {
	Server   string            // the address of the server that it stands before
	Users    map[string]string // who may log in beside the server's superuser, and with which password; may be nil
	Settings map[string]string // of its section [pgbouncer], which override the ones chosen here; may be nil
}

// Pooler is a PgBouncer in transaction mode that stands before one server.
type Pooler struct {
	dir   *proc.Folder
	port  int
	child *proc.Child
}

// StartPooler starts a PgBouncer, and waits until it listens.
func StartPooler(ctx context.Context, config PoolerConfig) (*Pooler, error) {
	program, err := FindPooler()
	if err != nil {
		return nil, err
	}
	owner, err := findOwner() // it refuses to run as root, too
	if err != nil {
		return nil, err
	}
	dir, err := proc.NewFolder("", "pgbouncer")
	if err != nil {
		return nil, err
	}
	p := &Pooler{dir: dir}
	if err = errors.Join(owner.give(dir.Path()), owner.admit(dir.Path())); err == nil {
		err = p.run(ctx, owner, program, config)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start PgBouncer: %w", err), p.Stop())
	}
	return p, nil
}

// Address is where it listens.
func (p *Pooler) Address() string { return proc.Address(p.port) }

// Stop ends it, with every connection that leads through it.
func (p *Pooler) Stop() error {
	if p.child != nil {
		p.child.Signal(immediate)
		select {
		case <-p.child.Exited():
		case <-time.After(endTimeout):
			p.child.Signal(kill)
			<-p.child.Exited()
		}
	}
	return p.dir.Remove()
}

func (p *Pooler) file(name string) string { return filepath.Join(p.dir.Path(), name) }

// run tries other ports when somebody takes the one that it chose.
func (p *Pooler) run(ctx context.Context, owner owner, program string, config PoolerConfig) error {
	for begin := time.Now(); ; {
		var err error
		if p.port, err = proc.FreePort(); err != nil {
			return err
		}
		if err := p.configure(config); err != nil {
			return err
		}
		log, err := os.Create(p.file("log"))
		if err != nil {
			return err
		}
		cmd := exec.Command(program, p.file("ini"))
		cmd.Dir, cmd.Env, cmd.Stderr = p.dir.Path(), environment(), log
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner.credential}
		p.child, err = proc.Start(cmd, kill)
		log.Close()
		if err != nil {
			return err
		}
		if err = p.ready(ctx); err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Since(begin) > endTimeout {
			return err
		}
	}
}

func (p *Pooler) configure(config PoolerConfig) error {
	host, port, err := net.SplitHostPort(config.Server)
	if err != nil {
		return err
	}
	all := map[string]string{
		"listen_addr":     "127.0.0.1",
		"listen_port":     strconv.Itoa(p.port),
		"unix_socket_dir": "",
		"auth_type":       "trust",
		"auth_file":       p.file("users"),
		"pool_mode":       "transaction",
		"max_client_conn": "1000",
	}
	maps.Copy(all, config.Settings)
	ini := &strings.Builder{}
	fmt.Fprintf(ini, "[databases]\n* = host=%s port=%s\n[pgbouncer]\n", host, port)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(ini, "%s = %s\n", name, all[name])
	}
	users := fmt.Sprintf("%q %q\n", superuser, "")
	for name, password := range config.Users {
		users += fmt.Sprintf("%q %q\n", name, password)
	}
	return errors.Join(
		os.WriteFile(p.file("ini"), []byte(ini.String()), 0o644),
		os.WriteFile(p.file("users"), []byte(users), 0o644),
	)
}

// ready waits until the log says that it listens: another server may answer on a port that it could not have.
func (p *Pooler) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		log, err := os.ReadFile(p.file("log"))
		if err != nil {
			return err
		}
		if strings.Contains(string(log), "process up") {
			return nil
		}
		select {
		case <-p.child.Exited():
			err := fmt.Errorf("it ended at once: %w\n%s", p.child.Err(), log)
			if strings.Contains(string(log), "ddress already in use") {
				err = errors.Join(err, syscall.EADDRINUSE)
			}
			return err
		case <-ctx.Done():
			return fmt.Errorf("%w: it does not listen\n%s", ctx.Err(), log)
		case <-tick.C:
		}
	}
}
