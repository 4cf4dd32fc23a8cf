package doctest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/proc"
	"hosho/internal/slow"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "grpcurl" {
		os.Exit(grpcurl(os.Args[1:]))
	}
	os.Exit(m.Run())
}

const pageTimeout = 2 * time.Minute

// TestPages runs the manual.
func TestPages(t *testing.T) {
	slow.Test(t, "runs a whole system, and every page against it")
	s := start(t)
	u := &usage{root: root, bin: filepath.Join(s.data, "bin"), help: map[string]string{}}
	t.Run("stale commands are found", func(t *testing.T) { findsStaleCommands(t, u) })
	t.Run("failures are found", s.findsFailures)
	for _, p := range manual(t) {
		t.Run(p.file, func(t *testing.T) {
			checkUsage(t, u, p)
			if finding := s.run(t, p); finding != "" {
				t.Error(finding)
			}
		})
	}
}

// marker begins the lines by which a script tells where it is.
const marker = "\x1edoctest"

// script returns the page as a shell script, with each command on the line that it has in the page.
func script(p page) string {
	lines := make([]string, len(p.lines))
	lines[0] = `set -eu -o pipefail; trap 'echo; echo "` + marker + ` failed $LINENO"' ERR; . "$DATA/env"`
	for _, b := range p.of("sh") {
		lines[b.line-1] = fmt.Sprintf("echo '%s begin %d'", marker, b.line)
		copy(lines[b.line:], b.lines)
		lines[b.end()-1] = fmt.Sprintf("echo '%s end'", marker)
	}
	return strings.Join(lines, "\n") + "\n"
}

// run runs a page, and returns the first thing that is wrong with it, or "". Processes that the page leaves behind live
// as long as the system.
func (s *system) run(t *testing.T, p page) string {
	t.Helper()
	if len(p.of("sh")) == 0 {
		return ""
	}
	dir := t.TempDir()
	file := filepath.Join(dir, filepath.Base(p.file)+".sh")
	if err := os.WriteFile(file, []byte(script(p)), 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := s.bash(t, file, filepath.Join(dir, "output"))
	printed, failed := split(output)
	if err != nil {
		last := printed[len(printed)-1]
		return fmt.Sprintf("%s:%d: %v\n  %s\nprinted\n  %s", p.file, max(failed, last.line), err,
			p.lines[max(failed, last.line, 1)-1], strings.Join(last.lines, "\n  "))
	}
	return compare(p, printed)
}

// bash runs a script, and returns what it printed.
func (s *system) bash(t *testing.T, file, output string) (string, error) {
	t.Helper()
	to, err := os.Create(output) // no pipe, which a process left behind would keep open
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	cmd := exec.Command("bash", file)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, to, to
	cmd.Env = proc.Environment("DATA="+s.data, "PATH="+s.path, "CURL_HOME="+s.bin)
	child, err := proc.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-child.Exited():
		err = child.Err()
	case <-time.After(pageTimeout):
		syscall.Kill(-child.Pid(), syscall.SIGKILL)
		err = fmt.Errorf("did not end within %v", pageTimeout)
	}
	if syscall.Kill(-child.Pid(), 0) == nil {
		s.groups = append(s.groups, child.Pid()) // a daemon that was started again, say
	}
	text, readErr := os.ReadFile(output)
	return string(text), errors.Join(err, readErr)
}

// section is what a block printed.
type section struct {
	line  int // of the block's fence; 0 before the first
	lines []string
}

// split returns what each block printed, and the line that failed, or 0.
func split(output string) (sections []section, failed int) {
	sections = []section{{}}
	for line := range strings.Lines(output) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.Fields(line)
		last := &sections[len(sections)-1]
		switch {
		case !strings.HasPrefix(line, marker):
			last.lines = append(last.lines, line)
		case words[1] == "begin":
			sections = append(sections, section{})
			sections[len(sections)-1].line = number(words[2])
		case words[1] == "failed":
			failed = number(words[2])
		}
	}
	return sections, failed
}

// compare holds what blocks printed against what the page says right after them.
func compare(p page, printed []section) string {
	for i, b := range p.blocks {
		if i == 0 || !b.right || p.blocks[i-1].info != "sh" || !slices.Contains([]string{"text", "json"}, b.info) {
			continue
		}
		at := slices.IndexFunc(printed, func(s section) bool { return s.line == p.blocks[i-1].line })
		holdAgainst := differ
		if b.info == "json" {
			holdAgainst = differAsJSON
		}
		if finding := holdAgainst(b.lines, printed[at].lines); finding != "" {
			return fmt.Sprintf("%s:%d: %s", p.file, b.line, finding)
		}
	}
	return ""
}

// findsFailures shows that running a page can fail, and where.
func (s *system) findsFailures(t *testing.T) {
	tests := []struct{ name, page, want string }{
		{"it is as it says", "# P\n```sh\necho $DATA; cat <<X\ny\nX\n```\n```text\n" + s.data + "\ny\n```\n", ""},
		{"a command fails", "# P\n\n```sh\ntrue\nfalse\n```\n", "p.md:5: exit status 1"},
		{"in a pipe", "# P\n\n```sh\nfalse | cat\n```\n", "p.md:4: exit status 1"},
		{"in the second block", "# P\n```sh\nX=1\n```\n\n```sh\necho $X\nls /nowhere\n```\n", "p.md:8: exit status 2"},
		{"an unknown variable", "# P\n```sh\necho $NOBODY\n```\n", "p.md:2: exit status 1"},
		{"another output", "# P\n```sh\necho 1\n```\n\n```text\n2\n```\n", "p.md:6: the page shows"},
		{"another JSON", "# P\n```sh\necho '{\"a\":1}'\n```\n\n```json\n{\"a\": 2}\n```\n", "p.md:6: the page shows"},
		{"what long blocks print", "# P\n```sh long\nfalse\n```\n\n```text\n2\n```\n", ""},
	}
	for _, tt := range tests {
		got := s.run(t, parse("p.md", tt.page))
		if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// number reads what the page's own script has written.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}
