package daemon

import (
	"log/slog"

	"github.com/alecthomas/kong"

	"hosho/internal/pg"
)

// ListenDatabase is the flags of a second way to the database, for a daemon that LISTENs there: a pooler in transaction
// mode, through which the daemon works, keeps no session for that.
type ListenDatabase struct {
	ListenDatabaseURL     string `xor:"listen" placeholder:"URL"  type:"given"        help:"${listen_url_help}"`
	ListenDatabaseURLFile string `xor:"listen" placeholder:"FILE" type:"existingfile" help:"${listen_url_file_help}"`

	variable string
}

// AfterApply is kong's hook.
func (d *ListenDatabase) AfterApply(vars kong.Vars) error {
	d.variable = listenVariable(vars["env"])
	return nil
}

func listenVariable(prefix string) string { return prefix + "_LISTEN_DATABASE_URL" }

// Listening returns how to connect for LISTEN: as to the database itself, unless the flags or the environment say
// otherwise, and then by the URL that they give. What counts for the URL of the database counts for that one.
func (d *ListenDatabase) Listening(log *slog.Logger, of *Database, database pg.Config) (pg.Config, error) {
	url, err := read("--listen-database-url-file", d.ListenDatabaseURL, d.ListenDatabaseURLFile)
	if err == nil && url == "" {
		url, err = lookUp(d.variable)
	}
	if err != nil || url == "" {
		return database, err
	}
	if database, err = database.At(url); err != nil {
		return database, err
	}
	return database, of.checkPrivate(log, url)
}
