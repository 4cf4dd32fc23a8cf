package mutant

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Edit is a change of one file of the source. Old must stand in it exactly once.
type Edit struct {
	File string // from the repository's root, with slashes
	Old  string
	New  string
}

// edited returns the text of each file that the mutant changes, after all its edits of that file.
func (m Mutant) edited(root string) (map[string]string, error) {
	texts := map[string]string{}
	for _, e := range m.Edits {
		text, seen := texts[e.File]
		if !seen {
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, m.stale(e, err)
			}
			text = string(source)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, m.stale(e, fmt.Errorf("got %d times, want once: %q", n, e.Old))
		}
		texts[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return texts, nil
}

// stale says that the source has moved on. The edit must be written anew, or the rule that it breaks goes unproven.
func (m Mutant) stale(e Edit, why error) error {
	return fmt.Errorf("the mutant %s no longer applies to %s: %w", m.Name, e.File, why)
}
