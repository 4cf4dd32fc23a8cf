package browsertest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Everybody can use it, as far as axe-core can tell, in light and in dark, and so can whoever reads Japanese.
func TestEverybodyCanUseIt(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	s := start(t)
	address := s.console()
	failed := s.order(9999, "ada")
	s.settled(failed)
	for _, look := range []struct {
		scheme, language string
	}{
		{"light", "en"},
		{"dark", "ja"},
	} {
		p := newVisitor(t).open("about:blank")
		p.reads(look.language)
		p.in(look.scheme)
		p.open(address)
		p.comes("the board", `document.querySelector("#daemons .completed") !== null`)
		for _, path := range []string{"/", "/person", "/agree", "/orders/" + failed, "/nowhere"} {
			p.open(p.here(path))
			eval[bool](p, axe+"; true")
			for _, finding := range violations(p) {
				t.Errorf("%s, %s, %s: %s", look.scheme, look.language, path, finding)
			}
		}
	}
}

func readAxe(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../bin/axe-core-*/axe.min.js")
	must(t, err)
	if len(files) == 0 {
		t.Skip("left out: there is no axe-core: make axe fetches it")
	}
	text, err := os.ReadFile(files[len(files)-1])
	must(t, err)
	return string(text)
}

// violations are what axe-core finds on a page.
func violations(p page) (found []string) {
	p.t.Helper()
	text := eval[string](p, `axe.run().then(r => JSON.stringify(r.violations))`)
	var all []struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	must(p.t, json.Unmarshal([]byte(text), &all))
	for _, v := range all {
		for _, n := range v.Nodes {
			found = append(found, fmt.Sprintf("%s (%s): %.200s: %.300s", v.Help, v.ID, n.HTML, n.FailureSummary))
		}
	}
	return found
}
