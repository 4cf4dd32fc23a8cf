package roles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hosho/internal/pg"
)

// URLFile is where the URL of a login is below a folder: in one of its own, which may hold what else it is given.
func URLFile(dir, login string) string { return filepath.Join(dir, login, "database-url") }

// writeURL writes how a login reaches the database of a URL into its file, and returns its password, and whether that
// is new: one that the file holds already is kept. Whoever reads the file while it is written has the former or the new
// one.
func writeURL(dir, databaseURL, login string) (password string, fresh bool, err error) {
	file := URLFile(dir, login)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", false, err
	}
	if password, err = passwordIn(file, login); err != nil {
		return "", false, err
	}
	if fresh = password == ""; fresh {
		password = newPassword()
	}
	own, err := pg.URLFor(databaseURL, login, password)
	if err != nil {
		return "", false, err
	}
	made, err := os.CreateTemp(filepath.Dir(file), ".new-") // which only its owner reads
	if err != nil {
		return "", false, err
	}
	_, err = made.WriteString(own + "\n")
	if err = errors.Join(err, made.Sync(), made.Close()); err == nil {
		err = os.Rename(made.Name(), file)
	}
	if err != nil {
		return "", false, errors.Join(err, os.Remove(made.Name()))
	}
	return password, fresh, nil
}

// passwordIn returns the password that a login's file holds, empty where there is no file.
func passwordIn(file, login string) (string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	config, err := pg.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if got := config.ConnConfig.User; got != login {
		return "", fmt.Errorf("%s: got the URL of %s, want that of %s: take it away", file, got, login)
	}
	return config.ConnConfig.Password, nil
}
