package stack_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// Wherever a clone is, whomever it belongs to, and whatever the person's Go is told: the daemons are built there. What
// go build would do is enough to see it (-n): it reads the source, asks git, and compiles nothing.
func TestTheDaemonsAreBuiltInAnyClone(t *testing.T) {
	slow.Long(t, "asks the go command again and again")
	anothers := []string{"GIT_TEST_ASSUME_DIFFERENT_OWNER=1"} // git's own way to say so
	for _, tt := range []struct {
		name  string
		make  func(t *testing.T, dir string)
		env   []string
		often bool // in CI as well
	}{
		{"another user's", repository, anothers, true},
		{"another user's, and git must be asked", repository, append(anothers, "GOFLAGS=-buildvcs=true"), false},
		{"a new repository", emptyRepository, nil, false},
		{"a worktree without its repository", orphanedWorktree, nil, false},
		{"an archive", archive, []string{"GOFLAGS=-buildvcs=true"}, true},
		{"below a workspace", belowWorkspace, nil, true},
		{"below a module", belowModule, nil, false},
		{"with vendoring", archive, []string{"GOFLAGS=-mod=vendor"}, false},
		{"with modules off", archive, []string{"GO111MODULE=off"}, false},
		{"with a temporary folder in the current one", archive, []string{"TMPDIR=testdata"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.often {
				slow.Long(t, "asks the go command once more")
			}
			dir := filepath.Join(t.TempDir(), "a clone [1", "hosho")
			tt.make(t, dir)
			lint := filepath.Join(dir, "internal", "lint") // a module of its own, in the midst of it
			if err := os.MkdirAll(filepath.Join(lint, "testdata"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Chdir(lint)
			t.Setenv("GOFLAGS", "-buildvcs=auto") // as where nobody has said anything
			for _, variable := range tt.env {
				name, value, _ := strings.Cut(variable, "=")
				t.Setenv(name, value)
			}
			if err := stack.Build(t.Context(), filepath.Join(dir, "bin"), "-n"); err != nil {
				t.Error(err)
			}
		})
	}
}

// All of it at once: make in another user's clone, with the line ends of Windows, in a folder with a space in its name,
// below a workspace, in a shell whose cd goes elsewhere.
func TestMakePlaysTheDemoInAnyClone(t *testing.T) {
	slow.Long(t, "compiles everything once more")
	dir := filepath.Join(t.TempDir(), "a clone", "hosho")
	clone(t, dir)
	addWorkspace(t, dir)
	elsewhere := t.TempDir()
	put(t, filepath.Join(elsewhere, "internal", "lint", "main.go"), "no program\n")
	for _, target := range []string{"demo", "build"} {
		cmd := exec.CommandContext(t.Context(), "make", target)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(),
			"GOFLAGS=-buildvcs=auto", "GIT_TEST_ASSUME_DIFFERENT_OWNER=1", "CDPATH="+elsewhere)
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("make %s: %v\n%s", target, err, output)
		}
	}
	version, err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "sagactl"), "version").Output()
	if err != nil || !strings.Contains(string(version), git(t, dir, "rev-parse", "--short=12", "HEAD")) {
		t.Errorf("got the version %q, %v; want one with the commit", version, err)
	}
}

// Scripts, make, and the tests that read texts want one end of lines, whatever git is told.
func TestACloneHasTheSameLineEndsEverywhere(t *testing.T) {
	t.Parallel()
	slow.Long(t, "clones the source tree")
	dir := filepath.Join(t.TempDir(), "hosho")
	clone(t, dir)
	var turned []string
	eachFile(t, dir, func(file string, text []byte) {
		if filepath.Ext(file) != ".png" && bytes.Contains(text, []byte("\r\n")) {
			turned = append(turned, file)
		}
	})
	if len(turned) > 0 {
		t.Errorf("got %d files with lines that end in CR LF, such as %s: .gitattributes is to keep them out",
			len(turned), turned[0])
	}
}

// archive makes a copy of the source tree, of which git knows nothing.
func archive(t *testing.T, dir string) {
	t.Helper()
	root, err := stack.SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	eachFile(t, root, func(file string, text []byte) { put(t, filepath.Join(dir, file), string(text)) })
}

// repository makes a copy of the source tree that is a commit.
func repository(t *testing.T, dir string) {
	t.Helper()
	emptyRepository(t, dir)
	git(t, dir, "add", "--all")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "all of it")
}

// clone makes a clone of a copy of the source tree, as Windows has it.
func clone(t *testing.T, dir string) {
	t.Helper()
	origin := t.TempDir()
	repository(t, origin)
	git(t, "", "clone", "-q", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", origin, dir)
}

func emptyRepository(t *testing.T, dir string) {
	t.Helper()
	archive(t, dir)
	git(t, dir, "init", "-q")
}

func orphanedWorktree(t *testing.T, dir string) {
	t.Helper()
	archive(t, dir)
	put(t, filepath.Join(dir, ".git"), "gitdir: /nowhere/.git/worktrees/hosho\n")
}

func belowWorkspace(t *testing.T, dir string) {
	t.Helper()
	archive(t, dir)
	addWorkspace(t, dir)
}

func addWorkspace(t *testing.T, dir string) {
	t.Helper()
	put(t, filepath.Join(dir, "..", "other", "go.mod"), "module other\n")
	put(t, filepath.Join(dir, "..", "go.work"), "go 1.26\nuse ./other\n")
}

func belowModule(t *testing.T, dir string) {
	t.Helper()
	archive(t, dir)
	put(t, filepath.Join(dir, "..", "go.mod"), "module above\n")
}

// Before anything is started it is told that the programs may not be run, and what to do.
func TestAFolderThatRunsNoProgramsIsTold(t *testing.T) {
	t.Parallel()
	unrunnable, none := t.TempDir(), t.TempDir()
	put(t, filepath.Join(unrunnable, "orderd"), "no program\n")
	for bin, want := range map[string]string{
		unrunnable: "give TMPDIR a folder that is not mounted noexec", none: "no such file",
	} {
		_, err := stack.Start(t.Context(), stack.Config{Bin: bin, Dir: t.TempDir(), Relays: 1})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// eachFile reads the files of a source tree.
func eachFile(t *testing.T, tree string, do func(file string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(tree), ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case file == ".git" && !d.IsDir(): // of a worktree
			return nil
		case file == ".git" || file == "bin" || strings.HasSuffix(file, "testdata/rapid"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(filepath.Join(tree, file))
		if err == nil {
			do(file, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// git returns what git prints.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}
