// Package mutant is the mistakes that systems like this one make, each an edit of the production source that breaks one
// rule of the saga (doc/rules.md). An experiment that does not fail on the daemons of a mutant proves nothing about the
// rule.
//
// Its promise: the production source holds no trace of a mutant, and no release can switch one on. A mutant exists only
// where Build hands its edits to the compiler (go build -overlay, which the embedded migrations pass through as well),
// and an edit that does not fit the source any more is an error, never a build without it.
package mutant

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hosho/internal/lab/stack"
	"hosho/internal/rules"
)

// Mutant is one mistake.
type Mutant struct {
	Name   string        // "cancel-on-error"
	Rule   rules.Number  // the rule that it breaks
	Breaks string        // what the edits do, in a sentence
	Needs  string        // what must happen for the damage to show; empty: orders are enough
	Faults []string      // the faults of package chaos that make it happen
	Length time.Duration // of each fault; 0: as chance has it
	// Transport is what the saga goes over; empty: calls. Resend is when what was lost there is sent again, instead of
	// as the pace has it; then no order is one whose outcome is lost on purpose.
	Transport string
	Resend    time.Duration
	Oracle    []rules.ID // the invariants any one of which must notice
	Edits     []Edit
}

// Build builds orderd, paymentd and relay with the edits, into the folder bin. The flags are those of go build.
func (m Mutant) Build(ctx context.Context, bin string, flags ...string) error {
	root, err := stack.SourceRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hosho-mutant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return err
	}
	if err := stack.Build(ctx, bin, append(flags[:len(flags):len(flags)], "-overlay="+overlay)...); err != nil {
		return fmt.Errorf("the mutant %s: %w", m.Name, err)
	}
	return nil
}

// overlay writes the edited files and the list that go build -overlay reads into a folder, and returns the list's path.
func (m Mutant) overlay(root, dir string) (string, error) {
	edited, err := m.edited(root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string, len(edited))
	for file, text := range edited {
		replacement := filepath.Join(dir, fmt.Sprintf("%d%s", len(replace), filepath.Ext(file)))
		if err := os.WriteFile(replacement, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = replacement
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}
