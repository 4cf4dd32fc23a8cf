package pgembed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const superuser = "postgres"

// create makes the directories and, unless there is one, the data directory.
func (s *Server) create(ctx context.Context) error {
	if err := s.createDirs(); err != nil {
		return err
	}
	if _, err := os.Stat(s.data()); err == nil {
		return nil
	}
	return s.initdb(ctx)
}

func (s *Server) createDirs() error {
	if err := s.createDir(); err != nil {
		return err
	}
	// Not below dir: the name of a socket has 104 bytes on macOS, 108 on Linux. Nor below os.TempDir, which is long
	// there.
	sockets, err := s.mkdirTemp("/tmp")
	if err != nil {
		return err
	}
	s.sockets = sockets
	return s.owner.give(sockets)
}

func (s *Server) createDir() (err error) {
	switch {
	case s.config.Dir != "":
		if s.dir, err = filepath.Abs(s.config.Dir); err == nil {
			err = os.MkdirAll(s.dir, 0o755)
		}
	case !s.config.Durable && os.Getenv("TMPDIR") == "" && memoryDir() != "":
		s.dir, err = s.mkdirTemp(memoryDir())
	default:
		s.dir, err = s.mkdirTemp(os.TempDir())
	}
	if err != nil {
		return err
	}
	return s.owner.admit(s.dir)
}

func (s *Server) mkdirTemp(parent string) (string, error) {
	t, err := newTemporary(parent)
	if err != nil {
		return "", err
	}
	s.made = append(s.made, t)
	return t.dir, nil
}

func (s *Server) initdb(ctx context.Context) error {
	args := []string{"--username=" + superuser, "--auth=trust", "--encoding=UTF8", "--no-locale"}
	if !s.config.Durable {
		args = append(args, "--no-sync")
	}
	return s.fill(ctx, "initdb", args...)
}

// fill has a program make the data directory. It works under another name, so that whatever interrupts it, a data
// directory is a whole one.
func (s *Server) fill(ctx context.Context, program string, args ...string) error {
	unfinished := s.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	if err := s.owner.give(unfinished); err != nil {
		return err
	}
	p, err := s.launch(program, append(args, "--pgdata="+unfinished)...)
	if err != nil {
		return err
	}
	select {
	case <-p.gone:
	case <-ctx.Done():
		p.end(kill)
		return ctx.Err()
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, p.log())
	}
	return os.Rename(unfinished, s.data())
}
