package pg

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// scheme is how a URL begins.
var scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)(:[A-Za-z0-9+.-]+)*://`)

// readSettings reads both forms as libpq does, and refuses what libpq would read as something that nobody meant.
func readSettings(text string) (settings, error) {
	rest, ours := strings.CutPrefix(text, "postgres://")
	if !ours {
		rest, ours = strings.CutPrefix(text, "postgresql://")
	}
	found := scheme.FindStringSubmatch(text)
	switch {
	case text == "":
		return nil, errors.New("it is empty: " + urlForm)
	case strings.ContainsRune(text, 0):
		return nil, errors.New("it has a NUL byte: " + urlForm)
	case ours:
		return readURL(rest)
	case found != nil:
		return nil, fmt.Errorf("got the scheme %s: %s", found[1], urlForm)
	case !strings.Contains(text, "="):
		return nil, errors.New("got neither a URL nor key=value: " + urlForm)
	}
	return readPairs(text)
}

// readURL reads what follows the scheme. A sign that stands where it separates nothing is likely to be one of a
// password, and what is behind it would be taken for a host.
func readURL(rest string) (settings, error) {
	for _, r := range rest {
		if r <= ' ' || r == 0x7f {
			return nil, errors.New("it has a space or a line break within: write %20 for a space, and one URL only")
		}
	}
	login, address := "", rest
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		login, address = rest[:i], rest[i+1:]
	}
	if strings.ContainsRune(address, '@') {
		return nil, errors.New("it has a second @, or one behind a /: write %40 for an @ and %2F for a / " +
			"in the name of the user and in the password")
	}
	if strings.ContainsRune(address, '#') {
		return nil, errors.New("it has a # behind the host: write %23")
	}
	address, query, asked := strings.Cut(address, "?")
	hosts, database, _ := strings.Cut(address, "/")
	if strings.ContainsRune(database, '/') {
		return nil, errors.New("it has a / in the database's name, or a password with one: write %2F")
	}
	var s settings
	if err := s.addLogin(login); err != nil {
		return nil, err
	}
	if err := s.addHosts(hosts); err != nil {
		return nil, err
	}
	if err := s.addDecoded("dbname", database); err != nil {
		return nil, err
	}
	if asked {
		return s, s.addQuery(query)
	}
	return s, nil
}

func (s *settings) addLogin(login string) error {
	user, password, _ := strings.Cut(login, ":")
	return errors.Join(s.addDecoded("user", user), s.addDecoded("password", password))
}

// addHosts takes "a:1,[::1],b:3" apart.
func (s *settings) addHosts(text string) error {
	if text == "" {
		return nil
	}
	var hosts, ports []string
	for one := range strings.SplitSeq(text, ",") {
		host, port, _ := strings.Cut(one, ":")
		if address, bracketed := strings.CutPrefix(one, "["); bracketed {
			var closed bool
			if host, port, closed = strings.Cut(address, "]"); !closed || port != "" && port[0] != ':' {
				return errors.New("an IPv6 address is not in brackets: want [::1] or [::1]:5432")
			}
			port = strings.TrimPrefix(port, ":")
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if err := s.addDecoded("host", strings.Join(hosts, ",")); err != nil {
		return err
	}
	if strings.Join(ports, "") == "" {
		return nil
	}
	return s.addDecoded("port", strings.Join(ports, ","))
}

func (s *settings) addQuery(query string) error {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, found := strings.Cut(pair, "=")
		if !found || strings.ContainsRune(value, '=') {
			return errors.New("what follows the ? is not name=value&name=value: write %3D for an = and %26 for an & " +
				"in a value")
		}
		name, err := decode(name)
		if err != nil {
			return fmt.Errorf("the name of a parameter: %w", err)
		}
		if name == "ssl" && value == "true" { // JDBC's name for it, which libpq knows as well
			name, value = "sslmode", "require"
		}
		value, err = decode(value)
		if err != nil {
			return fmt.Errorf("the value of a parameter: %w", err)
		}
		if err := s.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

// addDecoded leaves out what the URL has no text for.
func (s *settings) addDecoded(name, text string) error {
	if text == "" {
		return nil
	}
	value, err := decode(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return s.add(name, value)
}

// decode resolves %XX, and leaves + alone as libpq does.
func decode(text string) (string, error) {
	plain, err := url.PathUnescape(text)
	if err != nil || strings.ContainsRune(plain, 0) { // the error of net/url quotes what may be a password
		return "", errors.New("a % is not followed by the two digits of a sign: write %25 for a % itself")
	}
	return plain, nil
}

// pair is one name = value of the other form; the value is in quotes, or has no space that is not escaped.
var pair = regexp.MustCompile(`^\s*([^\s=]+)\s*=\s*` +
	`(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?)(?:\s+|$)`)

var escaped = regexp.MustCompile(`(?s)\\(.)`)

func readPairs(text string) (settings, error) {
	var s settings
	for text != "" {
		found := pair.FindStringSubmatch(text)
		if found == nil {
			return nil, errors.New("it is not key=value: want a value with spaces in single quotes, that are closed, " +
				`and \' or \\ for these two within`)
		}
		if err := s.add(found[1], escaped.ReplaceAllString(found[2]+found[3], "$1")); err != nil {
			return nil, err
		}
		text = text[len(found[0]):]
	}
	return s, nil
}
