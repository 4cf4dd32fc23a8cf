package reload_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"hosho/internal/reload"
)

// Files are looked at by themselves, and at once when somebody asks for it.
func TestFilesAreLookedAt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		write("first")
		kept, err := reload.Open("text", slog.New(slog.DiscardHandler),
			func(contents [][]byte, _ string, _ time.Time) (string, error) { return string(contents[0]), nil }, file)
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go kept.Run(ctx)
		write("second")
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		if got := kept.Load(); got != "first" {
			t.Errorf("got %q before ten seconds were over, want the first", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := kept.Load(); got != "second" {
			t.Errorf("got %q after ten seconds, want the second", got)
		}
		write("third")
		kept.Now()
		synctest.Wait()
		if got := kept.Load(); got != "third" {
			t.Errorf("got %q when somebody asked, want the third", got)
		}
	})
}
