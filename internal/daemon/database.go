package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"hosho/internal/pg"
)

// Database is the flags that name a database. A flag wins over the environment, and there the daemon's own variables
// win over those of the database, which every program takes that works on it.
type Database struct {
	DatabaseURL     string `xor:"database" placeholder:"URL"  type:"given"        help:"${database_url_help}"`
	DatabaseURLFile string `xor:"database" placeholder:"FILE" type:"existingfile" help:"${database_url_file_help}"`

	InsecureDatabase bool `env:"${env}_INSECURE_DATABASE" help:"${insecure_database_help}"`

	variables []string // in the order in which they count
}

// Durability is the flag of what a daemon asks of its database's server.
type Durability struct {
	AllowUnsafeDurability bool `env:"${env}_ALLOW_UNSAFE_DURABILITY" help:"${allow_unsafe_durability}"`
}

// AfterApply is kong's hook.
func (d *Database) AfterApply(vars kong.Vars) error {
	d.variables = []string{vars["env"] + "_DATABASE_URL", vars["database"] + "_DATABASE_URL"}
	return nil
}

// given is a type of flags: whoever writes --database-url="$URL" without a URL does not mean that of the environment.
func given(ctx *kong.DecodeContext, field reflect.Value) error {
	if err := ctx.Scan.PopValueInto("text", field.Addr().Interface()); err != nil {
		return err
	}
	if field.String() == "" {
		return errors.New("it is empty: give one, or leave the flag away")
	}
	return nil
}

// URL returns the database's URL, or an error that says how to give one, or that it would have plaintext leave this
// machine. The log is told when variables name different databases, and which of them counts.
func (d *Database) URL(log *slog.Logger) (string, error) {
	url, err := d.url(log)
	if err != nil {
		return "", err
	}
	return url, d.checkPrivate(log, url)
}

// checkPrivate refuses a way to the database on which others may read along, unless somebody insists; then it is told
// at each start.
func (d *Database) checkPrivate(log *slog.Logger, url string) error {
	err := pg.CheckPrivate(url)
	exposed, ok := errors.AsType[*pg.ExposedError](err)
	switch {
	case !ok:
		return err
	case !d.InsecureDatabase:
		return fmt.Errorf("database URL: %w; or say --insecure-database", err)
	}
	insecureDatabase.Set(1)
	log.Warn("the database is off loopback, and reached without sslmode=verify-full", "host", exposed.Host,
		"means", "whoever is between reads along and may change it, the password too where there is no TLS at all",
		"do", "sslmode=verify-full, and sslrootcert with the authority")
	return nil
}

func (d *Database) url(log *slog.Logger) (string, error) {
	if d.DatabaseURL != "" || d.DatabaseURLFile != "" {
		return read("--database-url-file", d.DatabaseURL, d.DatabaseURLFile)
	}
	var url, from string
	for _, variable := range d.variables {
		another, err := lookUp(variable)
		switch {
		case from != "" && err != nil:
			log.Warn("a variable that is not used is wrong", "used", from, "ignored", variable, "error", err)
		case from != "" && another != "" && another != url:
			log.Warn("two variables name different databases", "used", from, "ignored", variable)
		case err != nil:
			return "", err
		case from == "" && another != "":
			url, from = another, variable
		}
	}
	if url == "" {
		return "", errors.New("no database given: set --database-url or --database-url-file, " +
			"or their environment variables (see --help)")
	}
	return url, nil
}

// lookUp returns the URL that a variable, or the one that names a file, holds; "" when neither is set.
func lookUp(variable string) (string, error) {
	url, file := os.Getenv(variable), os.Getenv(variable+"_FILE")
	if url != "" && file != "" {
		return "", fmt.Errorf("%s and %[1]s_FILE can't be used together", variable)
	}
	return read(variable+"_FILE", url, file)
}

// read returns what a file holds, where one is named, and the URL else. What names the file is for the error.
func read(name, url, file string) (string, error) {
	if file == "" {
		return url, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	url = strings.TrimSpace(string(content))
	if url == "" { // which pgx would take for whatever server is near
		return "", fmt.Errorf("%s: %s is empty", name, file)
	}
	return url, nil
}
