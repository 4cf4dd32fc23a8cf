package brokers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"hosho/internal/proc"
)

// natsVersion is that of the server which tests are made for.
const natsVersion = "v2.15.2"

// nats is a nats-server with JetStream.
type nats struct {
	program string
	secured *Secured
	rights  string // the file of them
	port    int
}

func newNATS(ctx context.Context, config Config) (*nats, error) {
	program, err := "", error(nil)
	if config.Installed {
		program = installedNATS()
	}
	if program == "" {
		program, err = builtNATS(ctx, config.Progress)
	}
	return &nats{program: program, secured: config.Secured, rights: filepath.Join(config.Dir, "rights.conf")}, err
}

func (n *nats) choosePorts() (err error) {
	n.port, err = proc.FreePort()
	return err
}

func (n *nats) url() string {
	if n.secured != nil {
		return "tls://" + proc.Address(n.port)
	}
	return "nats://" + proc.Address(n.port)
}

func (n *nats) prepare(context.Context, string) error {
	if n.secured == nil || n.secured.Rights == "" {
		return nil
	}
	return os.WriteFile(n.rights, []byte(n.secured.Rights), 0o600)
}

func (n *nats) programs(data string) []program {
	cmd := exec.Command(n.program, "--addr", "127.0.0.1", "--port", strconv.Itoa(n.port),
		"--jetstream", "--store_dir", data)
	if s := n.secured; s != nil {
		cmd.Args = append(cmd.Args, "--tls", "--tlscert", s.Cert, "--tlskey", s.Key)
		if s.Rights != "" {
			cmd.Args = append(cmd.Args, "--config", n.rights)
		} else {
			cmd.Args = append(cmd.Args, "--user", s.User, "--pass", s.Password)
		}
		if s.Mutual {
			cmd.Args = append(cmd.Args, "--tlsverify", "--tlscacert", s.CA)
		}
	}
	return []program{{cmd, says("Server is ready")}}
}

// installedNATS returns the machine's nats-server: from PATH, then from where packages put what only administrators
// run. It is empty where there is none.
func installedNATS() string {
	for _, name := range []string{"nats-server", "/usr/sbin/nats-server", "/usr/local/bin/nats-server"} {
		if program, err := exec.LookPath(name); err == nil {
			if program, err = filepath.Abs(program); err == nil {
				return program
			}
		}
	}
	return ""
}

// builtNATS returns a nats-server of natsVersion, which it builds unless that was done before. Of several programs that
// want it at once, one builds.
func builtNATS(ctx context.Context, progress func(step string)) (program string, err error) {
	dir, err := cache("nats-server-" + natsVersion)
	if err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "nats-server")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	progress("building nats-server " + natsVersion + ", this once: it takes about half a minute")
	unfinished := filepath.Join(dir, "unfinished")
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/nats-io/nats-server/v2@"+natsVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+unfinished, "GOFLAGS=", "GO111MODULE=on")
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server %s: %w\n%s", natsVersion, errors.Join(err, ctx.Err()), output)
	}
	return program, os.Rename(filepath.Join(unfinished, "nats-server"), program)
}

// cache returns a folder for what is got once and used by all programs of this user.
func cache(name string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for what is kept (XDG_CACHE_HOME may name one): %w", err)
	}
	dir = filepath.Join(dir, "hosho", name)
	return dir, os.MkdirAll(dir, 0o755)
}
