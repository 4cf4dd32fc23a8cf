package pg

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// parameters are the names that a URL may give values to: libpq's, the pool's, pgx's, and settings of the server that
// are usual here. What is not among them is a slip of the pen, which pgx would send to the server as a setting.
var parameters = []string{
	"host", "port", "dbname", "user", "password", "passfile", "connect_timeout", "target_session_attrs",
	"sslmode", "sslkey", "sslcert", "sslcertmode", "sslrootcert", "sslpassword", "sslsni", "sslnegotiation",
	"channel_binding", "require_auth", "krbspn", "krbsrvname", "min_protocol_version", "max_protocol_version",
	"pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime", "pool_max_conn_idle_time",
	"pool_health_check_period", "pool_max_conn_lifetime_jitter", "pool_ping_timeout",
	"statement_cache_capacity", "description_cache_capacity", "default_query_exec_mode",
	"application_name", "options", "search_path", "role", "timezone",
	"statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout",
	"synchronous_commit",
}

// choices are the words that a parameter may be.
var choices = map[string][]string{
	"sslmode":              {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
	"target_session_attrs": {"any", "read-write", "primary", "read-only", "standby", "prefer-standby"},
	"sslcertmode":          {"disable", "allow", "require"},
	"sslnegotiation":       {"postgres", "direct"},
	"channel_binding":      {"disable", "prefer", "require"},

	// pgx has more, which ask the server about each statement each time, or send parameters as text.
	"default_query_exec_mode": {"cache_statement", "cache_describe"},
}

// shown is what a name may look like that an error quotes.
var shown = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.]{0,39}$`)

// known refuses a parameter that does not exist, or a word that is none of those it may be. secret says that a password
// came before: what follows may then be a part of it, of which the end was mistaken.
func known(name, value string, secret bool) error {
	if !slices.Contains(parameters, name) {
		got := ""
		if !secret && shown.MatchString(name) {
			got = fmt.Sprintf(" %q", name)
		}
		return fmt.Errorf("unknown parameter%s: want those of libpq (sslmode, connect_timeout and so on) and of the "+
			"pool (pool_max_conns and so on); a setting of the server goes into options=-cNAME%%3DVALUE, and signs in "+
			"a password are encoded or quoted", got)
	}
	if words := choices[name]; words != nil && !slices.Contains(words, value) {
		return fmt.Errorf("%s: got %s, want one of %s", name, quoted(value, secret), strings.Join(words, ", "))
	}
	if n, err := strconv.ParseInt(value, 10, 32); name == "pool_max_conns" && (err != nil || n < 1) {
		return fmt.Errorf("%s: got %s, want a number from 1", name, quoted(value, secret))
	}
	return nil
}

// quoted returns a value for an error, unless it may be a part of a secret.
func quoted(value string, secret bool) string {
	if secret {
		return "something else"
	}
	return strconv.Quote(value)
}

// misshapen reports whether something is neither a host's name, nor an address, nor the directory of a socket.
func misshapen(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return !hostForm.MatchString(host)
}

var hostForm = regexp.MustCompile(`^(/.*|[\pL\pN._-]+)$`)

func noPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port != "" && (err != nil || n == 0)
}
