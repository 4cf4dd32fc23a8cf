package class_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	errorv1 "hosho/gen/error/v1"
	"hosho/internal/class"
	"hosho/internal/rpc"
)

// rows returns the rows of the document's tables that begin with code, each cell trimmed.
func rows(t *testing.T) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "doc", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## What a reply means\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 {
			continue
		}
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		all = append(all, cells)
	}
	return all
}

var (
	codeIn   = regexp.MustCompile("`([A-Z_]+)`")
	reasonIn = regexp.MustCompile(`\b[A-Z_]{4,}\b`)
)

// The table of replies names each code once, with the class that it has here.
func TestTheDocumentSaysWhatEachCodeMeans(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, cells := range rows(t) {
		reply := cells[0]
		if !strings.HasPrefix(reply, "`") || strings.HasPrefix(reply, "`OK`") || strings.Contains(reply, "the reason") {
			continue
		}
		for _, code := range codeIn.FindAllStringSubmatch(reply, -1) {
			if _, twice := got[code[1]]; twice {
				t.Errorf("doc/rules.md says twice what %s means", code[1])
			}
			got[code[1]] = cells[1]
		}
	}
	for number, name := range rpccode.Code_name {
		if codes.Code(number) == codes.OK {
			continue // no error
		}
		if want := class.Of(number, "").String(); got[name] != want {
			t.Errorf("doc/rules.md, %s: got class %q, want %q", name, got[name], want)
		}
	}
	if len(got) != len(rpccode.Code_name)-1 {
		t.Errorf("doc/rules.md: got %d codes, want %d", len(got), len(rpccode.Code_name)-1)
	}
}

// The table of reasons names reasons of the contract, with the class that their code has here. By that class they are
// about the order or not, but for two that are about a caller's own time.
func TestTheDocumentSaysWhatEachReasonMeans(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for number := range errorv1.ErrorReason_name {
		known[rpc.ReasonName(errorv1.ErrorReason(number))] = true
	}
	found := 0
	for _, cells := range rows(t) {
		code := codeIn.FindStringSubmatch(cells[1])
		if code == nil {
			continue
		}
		for _, reason := range reasonIn.FindAllString(cells[0], -1) {
			found++
			want := class.Of(rpccode.Code_value[code[1]], reason).String()
			if !known[reason] || cells[2] != want {
				t.Errorf("doc/rules.md, %s: got class %q, want %q, and a reason that there is: %t",
					reason, cells[2], want, known[reason])
			}
			ofCaller := reason == "DEADLINE_PASSED" || reason == "CALL_CANCELLED"
			about := !strings.HasPrefix(cells[2], "B+") && !ofCaller
			if got := class.IsAboutOrder(rpccode.Code_value[code[1]], reason); got != about {
				t.Errorf("doc/rules.md, %s, class %s: got it about the order %t, want %t", reason, cells[2], got, about)
			}
		}
	}
	if found < 10 {
		t.Errorf("doc/rules.md: got %d reasons, want those of paymentd", found)
	}
}
