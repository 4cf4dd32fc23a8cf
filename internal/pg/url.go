package pg

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// urlForm is what every refusal of a URL ends with: how it should have been.
const urlForm = "want postgres://user@host/database, or host=... dbname=... user=..., with the password in " +
	"PGPASSWORD, in a password file, or percent-encoded in the URL"

// Parse reads a database's URL, or the same as key=value. It is the one way to do so, for whoever opens a database:
// what one command takes, all take. The URL says where the database is, and only the URL: it names a host, or several,
// or the directory of a socket, and a database. Where one is missing libpq would take what is near, or what the
// environment says, and that may be another system's. The environment may say who is connecting, and how securely
// (PGUSER, PGPASSWORD, PGPASSFILE, PGSSL..., PGREQUIREAUTH, PGCHANNELBINDING, PGCONNECT_TIMEOUT).
//
// Its errors say what was got, what is wanted and what to do. They hold no part of a password, wherever in a broken URL
// it may stand: so they quote nothing but what cannot be one.
func Parse(text string) (*pgxpool.Config, error) {
	config, err := parse(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	return config, nil
}

func parse(text string) (*pgxpool.Config, error) {
	if os.Getenv("PGSERVICE") != "" {
		return nil, errors.New("the environment has PGSERVICE, which names a database besides: unset it")
	}
	settings, err := readSettings(text)
	if err != nil {
		return nil, err
	}
	anyServer := settings.get("target_session_attrs") == "any"
	if err := settings.complete(); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(settings.String())
	if err != nil {
		return nil, reason(err)
	}
	if !settings.has("pool_max_conns") {
		config.MaxConns = DefaultMaxConns
	}
	if !anyServer && config.ConnConfig.ValidateConnect == nil && severalHosts(config.ConnConfig) {
		config.ConnConfig.ValidateConnect = writable // whoever names several means the one that is written to
	}
	for _, name := range []string{"options", "timezone"} { // of PGOPTIONS and PGTZ, which would change what SQL means
		if !settings.has(name) {
			delete(config.ConnConfig.RuntimeParams, name)
		}
	}
	config.ConnConfig.RuntimeParams["client_encoding"] = "UTF8" // as Go has it, whatever the role or the server says
	return config, nil
}

// reason is what pgx complains of, without the text that it quotes before. The values in it are those of parameters
// that are known, and no password is among them.
func reason(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		text = text[i+len("`: "):]
	}
	return errors.New(text)
}

// setting is one parameter, under libpq's name for it.
type setting struct{ name, value string }

type settings []setting

func (s settings) get(name string) string {
	if i := slices.IndexFunc(s, func(one setting) bool { return one.name == name }); i >= 0 {
		return s[i].value
	}
	return ""
}

func (s settings) has(name string) bool {
	return slices.ContainsFunc(s, func(one setting) bool { return one.name == name })
}

// add notes a parameter, unless there is none of that name, or it was given before: which of two is meant cannot be
// known.
func (s *settings) add(name, value string) error {
	if name == "database" {
		name = "dbname"
	}
	if err := known(name, value, s.has("password") || s.has("sslpassword")); err != nil {
		return err
	}
	if s.has(name) {
		return fmt.Errorf("%s is given twice: want it once", name)
	}
	*s = append(*s, setting{name, value})
	return nil
}

// complete refuses settings that leave it open where the database is, and fills in the port, so that the environment
// has no say in it.
func (s *settings) complete() error {
	hosts, ports := strings.Split(s.get("host"), ","), strings.Split(s.get("port"), ",")
	switch {
	case slices.Contains(hosts, ""):
		return errors.New("it names no host: " + urlForm)
	case slices.ContainsFunc(hosts, misshapen):
		return errors.New("a host is none: " + urlForm)
	case s.get("dbname") == "":
		return errors.New("it names no database: " + urlForm)
	case len(ports) > 1 && len(ports) != len(hosts):
		return fmt.Errorf("got %d ports for %d hosts: want one for all, or one for each", len(ports), len(hosts))
	case slices.ContainsFunc(ports, noPort):
		return errors.New("a port is no number from 1 to 65535 (without an @, what follows a : is one): " + urlForm)
	}
	for i, port := range ports {
		if port == "" {
			ports[i] = "5432"
		}
	}
	s.set("port", strings.Join(ports, ","))
	if !s.has("target_session_attrs") {
		s.set("target_session_attrs", "any")
	}
	return nil
}

func (s *settings) set(name, value string) {
	*s = append(slices.DeleteFunc(*s, func(one setting) bool { return one.name == name }), setting{name, value})
}

// String returns the settings as key=value, in which nothing can be mistaken for something else.
func (s settings) String() string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	pairs := make([]string, len(s))
	for i, one := range s {
		pairs[i] = one.name + "='" + quote.Replace(one.value) + "'"
	}
	return strings.Join(pairs, " ")
}
