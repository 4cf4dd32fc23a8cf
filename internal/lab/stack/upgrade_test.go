package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// next is a migration of a later release: it adds, and takes nothing away.
const next = `-- +goose Up
ALTER TABLE %[1]s ADD COLUMN note text;
CREATE INDEX %[1]s_by_note ON %[1]s (note) WHERE note IS NOT NULL;
CREATE TABLE %[1]s_notes (id uuid PRIMARY KEY);
-- +goose Down
DROP TABLE %[1]s_notes;
ALTER TABLE %[1]s DROP COLUMN note;
`

// The next release is rolled out under load: its migrations first, while the daemons of this one serve, and then its
// daemons. Daemons of this release that start after the migration are ready. When a migration says that its schema is
// for the next release alone they are not, say why, and the next ones take over. Nothing is lost.
func TestDaemonsServeTheNextReleasesSchemaUntilItContracts(t *testing.T) {
	t.Parallel()
	slow.Long(t, "builds the daemons of a release to come")
	later := buildNext(t)
	current := t.TempDir() // links, so that a daemon that starts again is of the next release
	link(t, bin, current)
	s := start(t, current, 1)
	clients := load.New(load.Config{Orders: s.client, Clients: 8, Seed: 1, CancelWithin: 300 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { clients.Run(ctx, t.Context()) })
	more := func() {
		t.Helper()
		if err := clients.AwaitAccepted(t.Context(), clients.Accepted()+50); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(wait bool) {
		t.Helper()
		for _, daemon := range s.Daemons() {
			daemon.Kill()
			if err := daemon.Start(); err != nil {
				t.Fatal(err)
			}
			if !wait {
				continue
			}
			if err := daemon.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			more()
		}
	}

	more()
	migrate(t, filepath.Join(later, "orderd"), "ORDERS_DATABASE_URL="+s.OrdersURL())
	migrate(t, filepath.Join(later, "paymentd"), "PAYMENTS_DATABASE_URL="+s.PaymentsURL())
	more()
	restart(true)

	for _, url := range []string{s.OrdersURL(), s.PaymentsURL()} {
		execute(t, url, `UPDATE schema_identity SET compatible_from = 99`) // as a migration that contracts does
	}
	restart(false)
	for _, daemon := range s.Daemons() {
		awaitLog(t, daemon, "which is for programs of version 99 and later, and this program is of version")
	}

	link(t, later, current)
	restart(false)
	for _, daemon := range s.Daemons() {
		if err := daemon.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	more()
	stop()
	working.Wait()
	s.await(t, "every order is settled", allSettled)
	s.agree(t, true)
	s.noAlarms(t)
	wrong, err := clients.Check(t.Context(), s.orders)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

// buildNext builds the daemons with one more migration for each database, and returns their folder. The files that are
// built into them are laid over the source tree, which stays as it is.
func buildNext(t *testing.T) string {
	t.Helper()
	root, err := stack.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for _, set := range []string{"orders", "payments"} {
		file := filepath.Join(dir, set+".sql")
		write(t, file, fmt.Sprintf(next, set))
		replace[filepath.Join(root, "migrations", set, "00099_notes.sql")] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), string(overlay))
	built := filepath.Join(dir, "bin")
	if err := stack.Build(t.Context(), built, "-overlay", filepath.Join(dir, "overlay.json")); err != nil {
		t.Fatal(err)
	}
	return built
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// link makes the daemons of one folder those of another.
func link(t *testing.T, from, to string) {
	t.Helper()
	for _, daemon := range []string{"orderd", "paymentd", "relay"} {
		fresh := filepath.Join(to, daemon+".next")
		if err := os.Symlink(filepath.Join(from, daemon), fresh); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, filepath.Join(to, daemon)); err != nil {
			t.Fatal(err)
		}
	}
}

func migrate(t *testing.T, binary, database string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "migrate")
	cmd.Env = append(os.Environ(), database)
	output, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(output), " 99\n") {
		t.Fatalf("%s migrate: got %v, want version 99 applied:\n%s", binary, err, output)
	}
}

// awaitLog waits until a daemon has logged a text.
func awaitLog(t *testing.T, daemon *stack.Process, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		log, err := os.ReadFile(daemon.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), text) {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("%s: waited in vain for %q in %s", daemon.Name, text, log)
		}
	}
}
