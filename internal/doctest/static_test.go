package doctest

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// longestReadme keeps the front door one that people read. The rest is in doc/.
const longestReadme = 9 * 1024

func TestReadmeIsShort(t *testing.T) {
	info, err := os.Stat(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > longestReadme {
		t.Errorf("README.md has %d bytes, want %d at most: move something to doc/", info.Size(), longestReadme)
	}
}

// TestTheJapanesePageHasTheSameCommands compares them without their comments.
func TestTheJapanesePageHasTheSameCommands(t *testing.T) {
	infos := []string{"sh", "sh long", "sh docker"}
	english, japanese := read(t, "README.md").of(infos...), read(t, "README.ja.md").of(infos...)
	if len(english) != len(japanese) {
		t.Fatalf("README.md has %d blocks of commands, and README.ja.md %d", len(english), len(japanese))
	}
	for i, e := range english {
		if j := japanese[i]; e.info != j.info || !slices.Equal(uncommented(e.lines), uncommented(j.lines)) {
			t.Errorf("README.md:%d and README.ja.md:%d differ:\n%s\n%s", e.line, j.line,
				strings.Join(e.lines, "\n"), strings.Join(j.lines, "\n"))
		}
	}
}

// TestTheReadmeQuotesTheDemo holds what README.md shows of the demo against the page that shows all of it.
func TestTheReadmeQuotesTheDemo(t *testing.T) {
	quoted, whole := read(t, "README.md").of("text")[0], read(t, "doc/demo.md").of("text")[0]
	want := slices.Concat([]string{anything}, quoted.lines, []string{anything})
	if finding := differ(want, whole.lines); finding != "" {
		t.Errorf("README.md:%d: the demo, as doc/demo.md has it, is another: %s", quoted.line, finding)
	}
}

var comment = regexp.MustCompile(`(^|\s+)#.*$`)

// uncommented returns the lines without comments, and without those that are left empty.
func uncommented(lines []string) []string {
	var all []string
	for _, line := range lines {
		if line = comment.ReplaceAllString(line, ""); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// diagrams are the words that a mermaid block may begin with.
var diagrams = []string{"sequenceDiagram", "stateDiagram-v2", "flowchart", "graph", "classDiagram", "erDiagram"}

func TestDiagramsBeginWithAKnownWord(t *testing.T) {
	for _, p := range everyPage(t) {
		for _, b := range p.of("mermaid") {
			words := strings.Fields(strings.Join(b.lines, "\n"))
			if len(words) == 0 || !slices.Contains(diagrams, words[0]) {
				t.Errorf("%s:%d: a mermaid block begins with one of %v", p.file, b.line, diagrams)
			}
		}
	}
}

// TestEveryFenceIsKnown finds a fence that nobody would check because of a slip.
func TestEveryFenceIsKnown(t *testing.T) {
	known := []string{"sh", "sh long", "sh docker", "text", "text example", "json", "json example", "mermaid", ""}
	code := []string{"go", "sql", "proto", "yaml", "conf", "make", "diff", "python"}
	for _, p := range manual(t) {
		for _, b := range p.blocks {
			if !slices.Contains(known, b.info) && !slices.Contains(code, b.info) {
				t.Errorf("%s:%d: unknown fence %q: see the package comment of internal/doctest", p.file, b.line, b.info)
			}
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	pages := everyPage(t)
	for _, p := range pages {
		for _, finding := range broken(p, func(file string) (page, error) {
			i := slices.IndexFunc(pages, func(other page) bool { return other.file == file })
			if i >= 0 {
				return pages[i], nil
			}
			_, err := os.Stat(filepath.Join(root, file))
			return page{}, err
		}) {
			t.Error(finding)
		}
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	other := parse("doc/b.md", "# The B page, `code`: it's\n\n<a id=\"rule-9\"></a>\n\n## Twice\n\n## Twice\n")
	find := func(file string) (page, error) {
		if file == other.file || file == "main.go" {
			return other, nil
		}
		return page{}, fs.ErrNotExist
	}
	tests := []struct {
		link string
		ok   bool
	}{
		{"b.md", true},
		{"b.md#the-b-page-code-its", true},
		{"b.md#rule-9", true},
		{"b.md#twice-1", true},
		{"b.md#twice-2", false},
		{"../main.go", true},
		{"c.md", false},
		{"#here", true},
		{"#there", false},
		{"https://example.com/nothing", true},
	}
	for _, tt := range tests {
		findings := broken(parse("doc/a.md", "# Here\n\nsee [it]("+tt.link+")\n\n```sh\n[x](y)\n```\n"), find)
		if (len(findings) == 0) != tt.ok {
			t.Errorf("the link %s: got the findings %q", tt.link, findings)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)|^\[[^\]]+\]:\s+(\S+)`)

// broken returns the links of a page that lead nowhere. find returns the page of that name, and an empty one for a file
// that is none.
func broken(p page, find func(file string) (page, error)) []string {
	var findings []string
	for i, line := range p.prose() {
		for _, found := range link.FindAllStringSubmatch(line, -1) {
			target, err := url.Parse(found[1] + found[2])
			if err != nil {
				findings = append(findings, fmt.Sprintf("%s:%d: %v", p.file, i+1, err))
				continue
			}
			if target.Scheme != "" {
				continue
			}
			to, err := p, error(nil)
			if target.Path != "" {
				to, err = find(path.Join(path.Dir(p.file), target.Path))
			}
			switch {
			case err != nil:
				findings = append(findings, fmt.Sprintf("%s:%d: the link %s: %v", p.file, i+1, target, err))
			case target.Fragment != "" && !slices.Contains(to.anchors(), target.Fragment):
				findings = append(findings, fmt.Sprintf("%s:%d: the link %s: no such heading", p.file, i+1, target))
			}
		}
	}
	return findings
}

var (
	heading = regexp.MustCompile(`^#+ +(.*)`)
	anchor  = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	linked  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// anchors returns what a link to the page may name: its headings, as GitHub makes them, and what it marks itself.
func (p page) anchors() []string {
	var all []string
	times := map[string]int{}
	for _, line := range p.prose() {
		for _, found := range anchor.FindAllStringSubmatch(line, -1) {
			all = append(all, found[1])
		}
		if found := heading.FindStringSubmatch(line); found != nil {
			name := slug(linked.ReplaceAllString(found[1], "$1"))
			if n := times[name]; n > 0 {
				all = append(all, fmt.Sprintf("%s-%d", name, n))
			} else {
				all = append(all, name)
			}
			times[name]++
		}
	}
	return all
}

func slug(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
}

// everyPage returns all Markdown of the repository.
func everyPage(t *testing.T) []page {
	t.Helper()
	var pages []page
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || d.Name() == "node_modules" || d.Name() == "testdata"):
			return fs.SkipDir
		case !d.IsDir() && path.Ext(name) == ".md":
			pages = append(pages, read(t, name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
