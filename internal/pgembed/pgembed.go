// Package pgembed runs private PostgreSQL servers as child processes, for tests, demonstrations and chaos.
//
// Its promise: a started server answers, nobody else's server is mistaken for it, and nothing of it outlives Stop: no
// process, no goroutine, no memory, and no directory that Start made. On Linux it does not outlive its parent either,
// however that dies; elsewhere a parent that is killed leaves its server running. The directories of a killed parent
// are removed by the next one.
//
// Whoever can reach the loopback interface may log in: there is no password. Keep nothing of value in such a server.
package pgembed

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hosho/internal/proc"
)

// Config says what server to start. Its zero value is a fast one that keeps nothing.
type Config struct {
	// Dir holds the data and the log. Data found there is used again. Empty: a new directory, which Stop removes.
	Dir string
	// Port on 127.0.0.1. Zero: a free one.
	Port int
	// Durable keeps acknowledged commits through a crash, as PostgreSQL does by default. Without it nothing is flushed
	// to disk, which is for tests only.
	Durable bool
	// Settings are added to the server's configuration, and override the ones chosen here.
	Settings map[string]string
	// Env is added to the environment of the server's programs, which inherit no variable that steers PostgreSQL.
	Env []string
}

// Server is one PostgreSQL server. Its methods may be called from any goroutine.
type Server struct {
	config  Config
	bin     string
	owner   owner
	dir     string
	sockets string         // the directory of the unix socket
	made    []*proc.Folder // the ones of these directories that Stop removes
	port    int
	pinned  bool // the port was promised to somebody and may not change

	standby string     // its name as a standby; empty: it was not started as one
	mu      sync.Mutex // held while the server is started or stopped
	stopped bool
	process atomic.Pointer[process] // the latest; Kill reads it while Restart holds mu
}

// Start makes the data directory unless there is one, starts the server and waits until it accepts connections. The
// context bounds the start alone, not the server's life.
func Start(ctx context.Context, config Config) (*Server, error) {
	s, err := newServer(config)
	if err != nil {
		return nil, err
	}
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("create a PostgreSQL server: %w", err), s.remove())
	}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), s.remove())
	}
	return s, nil
}

func newServer(config Config) (*Server, error) {
	bin, err := Find()
	if err != nil {
		return nil, err
	}
	owner, err := findOwner()
	if err != nil {
		return nil, err
	}
	return &Server{config: config, bin: bin, owner: owner, port: config.Port, pinned: config.Port != 0}, nil
}

// URL returns how to reach a database of this server over TCP. It stays the same through Restart.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(superuser),
		Host:     "127.0.0.1:" + strconv.Itoa(s.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Dir holds the data and the log.
func (s *Server) Dir() string { return s.dir }

// LogFile is where initdb and the server log, start after start.
func (s *Server) LogFile() string { return filepath.Join(s.dir, "postgres.log") }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// CreateDatabase makes an empty database. One that exists already is left as it is.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42P04" { // duplicate_database
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// connect goes through the socket, in a directory that no other server uses: whoever answers there is this server.
func (s *Server) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("postgres://" + superuser + "@localhost/postgres?sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = s.sockets, uint16(s.port) // in a URL a comma would make it two hosts
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// remove deletes what Start made, but not a directory that it was given.
func (s *Server) remove() error {
	var err error
	for _, folder := range s.made {
		err = errors.Join(err, folder.Remove())
	}
	return err
}
