package mutant

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hosho/internal/rules"
	"hosho/internal/slow"
)

// root is the repository's, from this folder.
var root = filepath.Join("..", "..", "..")

// Where an edit does not fit any more, this test says which, before an experiment is begun. Compiling is left to the
// experiments, which build every mutant.
func TestEveryMutantStillApplies(t *testing.T) {
	t.Parallel()
	for _, m := range All {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			edited, err := m.edited(root)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range edited {
				if path.Ext(file) != ".go" {
					continue
				}
				if _, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// The migrations are part of the daemons (go:embed), and an edit of one must get there.
func TestBuildReachesTheEmbeddedMigrations(t *testing.T) {
	slow.Long(t, "builds the daemons once more, as each hunt of a mutant does")
	bin := t.TempDir()
	if err := noIdempotency.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	daemon, err := os.ReadFile(filepath.Join(bin, "paymentd"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"CREATE TABLE ledger":            true,
		"CONSTRAINT ledger_pkey":         false,
		"WHERE payments.status = 'CHARG": true,
	} {
		if got := bytes.Contains(daemon, []byte(text)); got != want {
			t.Errorf("paymentd contains %q: got %t, want %t", text, got, want)
		}
	}
}

func TestEveryMutantIsDescribed(t *testing.T) {
	t.Parallel()
	seen := slices.Concat(rules.CheckedBy(rules.Databases), rules.CheckedBy(rules.Clients),
		rules.CheckedBy(rules.Experiment))
	var oracles []rules.ID // what an experiment notices
	for _, i := range seen {
		oracles = append(oracles, i.ID)
	}
	names, broken := map[string]bool{}, map[rules.Number]bool{0: true}
	for _, m := range All {
		if names[m.Name] {
			t.Errorf("got two mutants %s", m.Name)
		}
		names[m.Name], broken[m.Rule] = true, true
		if m.Breaks == "" || len(m.Faults) == 0 || len(m.Oracle) == 0 || len(m.Edits) == 0 {
			t.Errorf("%s: got %+v, want what it breaks, how it shows, who must notice, and an edit", m.Name, m)
		}
		for _, oracle := range m.Oracle {
			if !slices.Contains(oracles, oracle) {
				t.Errorf("%s: got the oracle %s, want one of %v", m.Name, oracle, oracles)
			}
		}
	}
	broken[12] = true // that a claim is worth its experiment: every mutant is there for it
	for _, rule := range rules.Rules {
		if !broken[rule.Number] {
			t.Errorf("got no mutant for %s, want at least one", rule.Number)
		}
	}
	if len(broken) != len(rules.Rules)+1 {
		t.Errorf("got mutants for %v, want them for the %d rules and the promise", broken, len(rules.Rules))
	}
}

// doc/rules.md names with each rule the mutants that break it, and those of the promise beside the rules.
func TestTheRulesNameTheirMutants(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "doc", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[rules.Number]string{}
	for n := range len(rules.Rules) + 1 {
		heading := fmt.Sprintf("\n### Rule %d\n", n)
		if n == 0 {
			heading = "\n### Beside the rules\n"
		}
		_, section, _ := strings.Cut(string(text), heading)
		section, _, _ = strings.Cut(section, "\n##")
		sections[rules.Number(n)] = section
	}
	for _, m := range All {
		for n, section := range sections {
			if named := strings.Contains(section, "`"+m.Name+"`"); named != (n == m.Rule) {
				t.Errorf("doc/rules.md, %s: got %s named: %t, want it with %s", n, m.Name, named, m.Rule)
			}
		}
	}
}

func TestAnEditThatDoesNotFitIsAnError(t *testing.T) {
	t.Parallel()
	const file = "relay/outcome.go"
	for _, tt := range []struct {
		name  string
		edits []Edit
		want  string
	}{
		{"text that is not there", []Edit{{File: file, Old: "no such text"}}, "got 0 times, want once"},
		{"text that is there twice", []Edit{{File: file, Old: "return"}}, "times, want once"},
		{
			"text that an earlier edit took away",
			[]Edit{{File: file, Old: "package main"}, {File: file, Old: "package main"}},
			"got 0 times",
		},
		{"a file that is not there", []Edit{{File: "relay/gone.go", Old: "x"}}, "relay/gone.go: open"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bin := filepath.Join(t.TempDir(), "bin")
			err := Mutant{Name: "stale", Edits: tt.edits}.Build(t.Context(), bin)
			if err == nil || !strings.Contains(err.Error(), "the mutant stale no longer applies to relay/") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if _, err := os.Stat(bin); err == nil {
				t.Error("the daemons were built all the same")
			}
		})
	}
}

// Edits of the same file are made one after the other, in a copy.
func TestEditsAddUpAndLeaveTheSourceAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(source, []byte("one two"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := Mutant{
		Edits: []Edit{{File: "a.txt", Old: "one", New: "three"}, {File: "a.txt", Old: "three two", New: "four"}},
	}
	edited, err := m.edited(dir)
	if err != nil || edited["a.txt"] != "four" {
		t.Errorf("got %q, %v; want four", edited["a.txt"], err)
	}
	if text, err := os.ReadFile(source); err != nil || string(text) != "one two" {
		t.Errorf("got the source %q, %v; want it as it was", text, err)
	}
}
