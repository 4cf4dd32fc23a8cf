package stack

import (
	"context"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hosho/internal/pg"
	"hosho/internal/roles"
	"hosho/migrations"
)

// Logins are those of the daemons, where Config.Roles gives them some.
func Logins() []string { return []string{"orderd", "paymentd", "relay"} }

// As returns a database's URL for a login. Where the stack has no roles that is the URL as it is.
func (s *Stack) As(login, direct string) string {
	u, err := url.Parse(direct)
	if s.passwords == nil || err != nil { // pgembed made it
		return direct
	}
	u.User = url.UserPassword(login, s.passwords[login])
	return u.String()
}

// Password returns a login's.
func (s *Stack) Password(login string) string { return s.passwords[login] }

// makeRoles makes the roles, if there are to be any, and notes their passwords. On servers that were used before they
// are there, and stay.
func (s *Stack) makeRoles(ctx context.Context) error {
	if !s.config.Roles {
		return nil
	}
	s.passwords = map[string]string{}
	dir := filepath.Join(s.Dir, "urls")
	for set, server := range map[migrations.Set]string{
		migrations.Orders: s.OrdersURL(), migrations.Payments: s.PaymentsURL(),
	} {
		if err := s.choosePasswords(set, server, dir); err != nil {
			return err
		}
		if _, err := roles.Bootstrap(ctx, set, server, dir); err != nil {
			return err
		}
		for _, login := range roles.Logins(set) {
			text, err := os.ReadFile(roles.URLFile(dir, login.Name))
			if err != nil {
				return err
			}
			own, err := url.Parse(strings.TrimSpace(string(text)))
			if err != nil {
				return err
			}
			s.passwords[login.Name], _ = own.User.Password()
		}
	}
	for _, server := range s.all() {
		if err := server.AskPassword(ctx, slices.Sorted(maps.Keys(s.passwords))...); err != nil {
			return err
		}
	}
	return nil
}

// choosePasswords writes the logins' files, where Config says what the passwords are: Bootstrap keeps them.
func (s *Stack) choosePasswords(set migrations.Set, server, dir string) error {
	if s.config.Password == "" {
		return nil
	}
	for _, login := range roles.Logins(set) {
		file := roles.URLFile(dir, login.Name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		own, err := pg.URLFor(server, login.Name, s.config.Password)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
			return err
		}
	}
	return nil
}
