package pg

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// personal are the parameters that are those of whoever connects, and not of the database.
var personal = []string{
	"user", "password", "passfile", "sslcert", "sslkey", "sslpassword", "krbspn", "krbsrvname", "role",
	"application_name",
}

// URLFor returns the URL by which another login reaches the same database: at the same hosts, and as securely.
func URLFor(text, user, password string) (string, error) {
	if _, err := Parse(text); err != nil {
		return "", err
	}
	s, err := readSettings(strings.TrimSpace(text))
	if err != nil {
		return "", fmt.Errorf("database URL: %w", err)
	}
	authority, apart := s.authority(), []string{"dbname"}
	if authority != "" {
		apart = append(apart, "host", "port")
	}
	var query []string
	for _, one := range s {
		if !slices.Contains(personal, one.name) && !slices.Contains(apart, one.name) {
			query = append(query, one.name+"="+encoded(one.value))
		}
	}
	made := "postgres://" + encoded(user) + ":" + encoded(password) + "@" + authority + "/" + encoded(s.get("dbname"))
	if len(query) > 0 {
		made += "?" + strings.Join(query, "&")
	}
	return made, nil
}

// authority is the hosts and their ports, or nothing where the directory of a socket is among them.
func (s settings) authority() string {
	hosts, ports := strings.Split(s.get("host"), ","), strings.Split(s.get("port"), ",")
	for i, host := range hosts {
		if strings.HasPrefix(host, "/") {
			return ""
		}
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		if port := ports[min(i, len(ports)-1)]; port != "" {
			host += ":" + port
		}
		hosts[i] = host
	}
	return strings.Join(hosts, ",")
}

// encoded is text as decode reads it, to whom a + is one.
func encoded(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
