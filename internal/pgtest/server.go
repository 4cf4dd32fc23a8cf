package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"hosho/internal/pgembed"
	"hosho/internal/proc"
	"hosho/migrations"
)

// server is shared by all tests of the binary: to start one takes half a second, to clone a database some milliseconds.
var server lazyServer

// lazyServer starts when the first test asks for it, and makes each template when the first test asks for that.
type lazyServer struct {
	mayStart  bool
	once      sync.Once
	server    *pgembed.Server
	err       error
	templates sync.Map // migrations.Set -> func() (string, error)
}

// Main runs the tests, without what a person's shell says to other programs, stops the server and exits; the tests have
// also failed when a goroutine is left. The options name goroutines that may be left.
func Main(m *testing.M, options ...goleak.Option) {
	proc.Isolate()
	server.mayStart = true
	code := m.Run()
	err := server.stop()
	if err == nil && code == 0 {
		waiting := goleak.IgnoreTopFunction("hosho/internal/crew.(*crew).work") // for what is done next
		err = goleak.Find(append(options, waiting)...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = 1
	}
	os.Exit(code)
}

func (s *lazyServer) start() (*pgembed.Server, error) {
	if !s.mayStart {
		return nil, errors.New("nobody would stop the server: let TestMain call pgtest.Main")
	}
	s.once.Do(func() {
		s.server, s.err = pgembed.Start(context.Background(), pgembed.Config{
			// A full pool for each of many parallel tests.
			Settings: map[string]string{"max_connections": "500"},
		})
	})
	return s.server, s.err
}

func (s *lazyServer) stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}

func (s *lazyServer) url(database string) (string, error) {
	server, err := s.start()
	if err != nil {
		return "", err
	}
	return server.URL(database), nil
}

// template returns the name of a database that is migrated and that nobody connects to, as CREATE DATABASE wants it.
func (s *lazyServer) template(set migrations.Set) (string, error) {
	build, _ := s.templates.LoadOrStore(set, sync.OnceValues(func() (string, error) { return s.migrate(set) }))
	return build.(func() (string, error))()
}

func (s *lazyServer) migrate(set migrations.Set) (string, error) {
	// Not the context of the test that happens to be first: the others depend on it too.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := s.start()
	if err != nil {
		return "", err
	}
	name := "template_" + string(set)
	if err := server.CreateDatabase(ctx, name); err != nil {
		return "", err
	}
	_, err = set.Up(ctx, server.URL(name), nil)
	return name, err
}

// exec runs one statement on a connection of its own.
func (s *lazyServer) exec(ctx context.Context, sql string) error {
	url, err := s.url("postgres")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}
