package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository.
var root = filepath.Join("..", "..")

// page is a page of Markdown.
type page struct {
	file   string // from the root
	lines  []string
	blocks []block
}

// block is what stands between two fences.
type block struct {
	info  string // what the fence says: "sh", "sh long", "text"
	line  int    // of the opening fence, from 1
	lines []string
	right bool // it stands right after another block: only empty lines are between
}

// end is the line of the closing fence.
func (b block) end() int { return b.line + len(b.lines) + 1 }

var fence = regexp.MustCompile("^( *)```([^`]*)$")

func parse(file, text string) page {
	p := page{file: file, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	var open *block
	indent, right := "", false
	for i, line := range p.lines {
		found := fence.FindStringSubmatch(line)
		switch {
		case found != nil && open == nil:
			indent, open = found[1], &block{info: strings.TrimSpace(found[2]), line: i + 1, right: right}
		case found != nil:
			p.blocks = append(p.blocks, *open)
			open, right = nil, true
		case open != nil:
			open.lines = append(open.lines, strings.TrimPrefix(line, indent))
		case strings.TrimSpace(line) != "":
			right = false
		}
	}
	return p
}

// prose returns the page's lines with blocks left empty, so that a line keeps its number.
func (p page) prose() []string {
	lines := slices.Clone(p.lines)
	for _, b := range p.blocks {
		for i := b.line - 1; i < b.end(); i++ {
			lines[i] = ""
		}
	}
	return lines
}

// of returns the blocks whose fence says one of the words.
func (p page) of(infos ...string) []block {
	return slices.DeleteFunc(slices.Clone(p.blocks), func(b block) bool { return !slices.Contains(infos, b.info) })
}

func read(t *testing.T, file string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return parse(file, string(text))
}

// manual returns the pages whose commands are checked: the READMEs first, as a newcomer reads them.
func manual(t *testing.T) []page {
	t.Helper()
	var files []string
	for _, pattern := range []string{"README.md", "README.*.md", "[^R]*.md", "doc/*.md", "doc/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	var pages []page
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, read(t, filepath.ToSlash(name)))
	}
	return pages
}

func TestBlocksKeepTheirLines(t *testing.T) {
	p := parse("p.md", "# P\n\n```sh\norder 1\n```\n\n```text\nit is\n```\ntalk\n\n  ```sh long\n  make test\n  ```\n")
	want := []block{
		{info: "sh", line: 3, lines: []string{"order 1"}},
		{info: "text", line: 7, lines: []string{"it is"}, right: true},
		{info: "sh long", line: 12, lines: []string{"make test"}},
	}
	for i, w := range want {
		if i >= len(p.blocks) {
			t.Fatalf("got %d blocks, want %d", len(p.blocks), len(want))
		}
		got := p.blocks[i]
		if got.info != w.info || got.line != w.line || got.right != w.right || !slices.Equal(got.lines, w.lines) {
			t.Errorf("got the block %+v, want %+v", got, w)
		}
	}
	if got := strings.Join(p.prose(), ""); got != "# Ptalk" {
		t.Errorf("got the prose %q", got)
	}
}
