package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hosho/internal/pgtest"
	"hosho/internal/roles"
	"hosho/internal/slow"
	"hosho/migrations"
)

// Bootstrap says what it made, what is next, and who uses which file; once more it made nothing.
func TestBootstrapSaysWhatItMadeAndWhatIsNext(t *testing.T) {
	t.Parallel()
	slow.Test(t, "runs a server of its own")
	server, dir := pgtest.Own(t), filepath.Join(t.TempDir(), "urls")
	run := func() string {
		t.Helper()
		cmd, _ := sagactl(t, "bootstrap", "--dir", dir)
		cmd.Env = append(cmd.Env, "ORDERS_DATABASE_URL="+server.URL("orders"),
			"PAYMENTS_DATABASE_URL="+server.URL("payments"))
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		return string(output)
	}
	want := func(output string, words ...string) {
		t.Helper()
		for _, word := range words {
			if !strings.Contains(output, word) {
				t.Errorf("got %s\nwant %q in it", output, word)
			}
		}
	}
	first := run()
	want(first, "made the database", "made hosho_orders_owner, hosho_orderd", "next: migrate")
	for _, set := range []migrations.Set{migrations.Orders, migrations.Payments} {
		for _, login := range roles.Logins(set) {
			file := roles.URLFile(dir, login.Name)
			want(first, login.For, file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if login.For == string(set)[:len(set)-1]+"d migrate" {
				if _, err := set.Up(t.Context(), string(text), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	again := run()
	want(again, "each may do what it needs, and nobody else connects")
	if strings.Contains(again, "made") || strings.Contains(again, "next") {
		t.Errorf("once more: got %s\nwant nothing made", again)
	}
}

func TestBootstrapWantsADatabase(t *testing.T) {
	t.Parallel()
	cmd, _ := sagactl(t, "bootstrap")
	output, err := cmd.CombinedOutput()
	if codeOf(err) != 2 || !strings.Contains(string(output), "want the URL of at least one database") {
		t.Errorf("got %v\n%s\nwant exit code 2, and what is missing", err, output)
	}
}
