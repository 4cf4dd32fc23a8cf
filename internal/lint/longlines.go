package main

import (
	"go/ast"
	"strings"
	"unicode/utf8"

	"golang.org/x/tools/go/analysis"
)

const (
	longest  = 120 // columns
	tabWidth = 4
)

// longLines is for lines that do not fit beside another file on a screen. What is generated may be as it is.
var longLines = &analysis.Analyzer{
	Name: "longlines",
	Doc:  "reports lines of more than 120 columns, a tab being 4",
	Run:  checkLines,
}

func checkLines(pass *analysis.Pass) (any, error) {
	for _, file := range pass.Files {
		if ast.IsGenerated(file) {
			continue
		}
		f := pass.Fset.File(file.FileStart)
		text, err := pass.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if n := columns(line); n > longest {
				pass.Reportf(f.LineStart(i+1), "%d columns, want at most %d", n, longest)
			}
		}
	}
	return nil, nil
}

// columns returns the width of a line in which tabs stand at its beginning, as gofmt leaves them.
func columns(line string) int {
	return utf8.RuneCountInString(line) + (tabWidth-1)*strings.Count(line, "\t")
}
