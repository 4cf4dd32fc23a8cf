package pgembed

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Not in parallel with tests that start processes: a program that a fork holds open for writing cannot be run.
func TestFind(t *testing.T) {
	tests := []struct {
		name      string
		path      []string // of directories
		installed map[string]string
		links     map[string]string
		want      string // a directory, or
		wantError string
	}{
		{
			name: "the newest, by number",
			installed: map[string]string{
				"lib/9.6/bin": "9.6.24", "lib/15/bin": "15.14 (Debian 15.14-0+deb12u1)", "lib/100/bin": "100.1",
			},
			want: "lib/100/bin",
		},
		{
			name:      "a development version",
			installed: map[string]string{"lib/19/bin": "19devel"},
			want:      "lib/19/bin",
		},
		{
			name:      "the one on the PATH, though it is older",
			path:      []string{"", "none", "bin"},
			installed: map[string]string{"bin": "15.1", "lib/18/bin": "18.0"},
			want:      "bin",
		},
		{
			name:      "where the PATH's links lead",
			path:      []string{"linked"},
			installed: map[string]string{"elsewhere": "16.2"},
			links:     map[string]string{"linked/postgres": "elsewhere/postgres"},
			want:      "elsewhere",
		},
		{
			name:      "past one on the PATH that is too old",
			path:      []string{"bin"},
			installed: map[string]string{"bin": "13.4", "lib/15/bin": "15.0"},
			want:      "lib/15/bin",
		},
		{
			name:      "too old",
			installed: map[string]string{"lib/14/bin": "14.9"},
			wantError: "PostgreSQL 14 in lib/14/bin is too old",
		},
		{
			name:      "something else",
			path:      []string{"bin"},
			installed: map[string]string{"bin": "soon"},
			wantError: "install it with `",
		},
		{
			name:      "none",
			wantError: "or let `make test` or `make demo` do it",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for dir, version := range tt.installed {
				write(t, filepath.Join(root, dir, "postgres"),
					fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version))
				write(t, filepath.Join(root, dir, "initdb"), "#!/bin/sh\n")
			}
			for from, to := range tt.links {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(root, from)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(filepath.Join(root, to), filepath.Join(root, from)); err != nil {
					t.Fatal(err)
				}
			}
			path := make([]string, len(tt.path))
			for i, dir := range tt.path {
				if dir != "" {
					path[i] = filepath.Join(root, dir)
				}
			}
			got, err := find(path, []string{root + "/lib/*/bin"})
			if tt.wantError != "" {
				text := strings.ReplaceAll(fmt.Sprint(err), root+"/", "")
				if !strings.Contains(text, tt.wantError) {
					t.Errorf("got %q, %v, want an error with %q", got, err, tt.wantError)
				}
				return
			}
			if want := filepath.Join(root, tt.want); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
