package pgembed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hosho/internal/proc"
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
	if kept := s.cluster(); kept != "" {
		return s.fillFrom(ctx, kept)
	}
	return s.initdb(ctx)
}

func (s *Server) createDirs() error {
	if err := s.createDir(); err != nil {
		return err
	}
	// Not below dir, whose name may be too long, nor below os.TempDir if it can be helped, which is long on macOS.
	return s.createSockets("/tmp", os.TempDir(), memoryDir(), "/var/tmp")
}

// longestSocketDir is what the name of a socket leaves: it has 104 bytes on macOS and 108 on Linux.
const longestSocketDir = 104 - len("/.s.PGSQL.65535") - 1

// createSockets makes the directory of the socket in the first of these that it can be in.
func (s *Server) createSockets(parents ...string) error {
	var failed []error
	for _, parent := range parents {
		if parent == "" {
			continue
		}
		dir, err := s.mkdirTemp(parent)
		if err == nil && len(dir) > longestSocketDir {
			err = fmt.Errorf("%s is too long for a socket, want %d bytes at most", dir, longestSocketDir)
		}
		if err == nil {
			err = errors.Join(s.owner.give(dir), s.owner.admit(dir))
		}
		if err == nil {
			s.sockets = dir
			return nil
		}
		failed = append(failed, err)
	}
	return fmt.Errorf("find a folder for the socket (TMPDIR may name one): %w", errors.Join(failed...))
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
	folder, err := proc.NewFolder(parent, "pg")
	if err != nil {
		return "", err
	}
	s.made = append(s.made, folder)
	return folder.Path(), nil
}

func (s *Server) initdb(ctx context.Context) error {
	args := []string{"--username=" + superuser, "--auth=trust", "--encoding=UTF8", "--no-locale"}
	if !s.config.Durable {
		args = append(args, "--no-sync")
	}
	return s.fill(ctx, "initdb", args...)
}

// fill has a program make the data directory.
func (s *Server) fill(ctx context.Context, program string, args ...string) error {
	return s.whole(func(unfinished string) error {
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
		return nil
	})
}

// whole has somebody make the data directory under another name, so that whatever interrupts it, a data directory is a
// whole one.
func (s *Server) whole(fill func(unfinished string) error) error {
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
	if err := fill(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, s.data())
}
