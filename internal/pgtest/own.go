package pgtest

import (
	"net/url"
	"testing"

	"hosho/internal/pgembed"
)

// Server is a server of a test's own, for what is a whole server's, as roles are. It is gone when the test ends.
type Server struct{ server *pgembed.Server }

// Own starts one.
func Own(t testing.TB) Server {
	t.Helper()
	server, err := pgembed.Start(t.Context(), pgembed.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return Server{server}
}

// AskPassword has it ask logins for their passwords. All others need none.
func (s Server) AskPassword(t testing.TB, logins ...string) {
	t.Helper()
	if err := s.server.AskPassword(t.Context(), logins...); err != nil {
		t.Fatal(err)
	}
}

// LogFile is where it writes its log.
func (s Server) LogFile() string { return s.server.LogFile() }

// URL returns how its superuser reaches a database.
func (s Server) URL(database string) string { return s.server.URL(database) }

// Create makes an empty database.
func (s Server) Create(t testing.TB, name string) *Database {
	t.Helper()
	if err := s.server.CreateDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return &Database{Pool: connect(t, s.URL(name)), URL: s.URL(name)}
}

// LoginTo returns the URL by which a login, which needs no password there, reaches a database.
func LoginTo(t testing.TB, databaseURL, login string) string {
	t.Helper()
	address, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.User(login)
	return address.String()
}

// Login returns the same database for a login.
func (d *Database) Login(t testing.TB, login string) *Database {
	t.Helper()
	address := LoginTo(t, d.URL, login)
	return &Database{Pool: connect(t, address), URL: address}
}
