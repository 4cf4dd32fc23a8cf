package doctest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// commands returns the simple commands of a block that is not run, each as its words.
func commands(b block) [][]string {
	text := strings.Join(uncommented(b.lines), "\n")
	text = strings.ReplaceAll(text, "\\\n", " ")
	var all [][]string
	for _, command := range regexp.MustCompile(`\n|;|&&?|\|\|?`).Split(text, -1) {
		if words := strings.Fields(command); len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}

// usage knows what the programs understand, by what they say themselves.
type usage struct {
	root, bin string // the repository; the folder with the programs
	help      map[string]string
}

var ours = []string{"sagactl", "orderd", "paymentd", "relay"}

// check returns what is wrong with a command, or "". Of a program that is not ours, or make or go, it knows nothing.
func (u *usage) check(words []string) string {
	var settings []string
	for len(words) > 0 && regexp.MustCompile(`^[A-Za-z_]\w*=`).MatchString(words[0]) {
		settings = append(settings, words[0])
		words = words[1:]
	}
	if len(words) > 2 && words[0] == "go" && words[1] == "run" && slices.Contains(ours, path.Base(words[2])) {
		words = words[2:]
	}
	if len(words) == 0 {
		return ""
	}
	switch program := path.Base(words[0]); {
	case slices.Contains(ours, program):
		return cmp.Or(u.program(program, words[1:]), u.settings(program, settings))
	case program == "make":
		return u.targets(words[1:])
	case program == "go":
		return u.packages(words[1:])
	case program == "docker" && len(words) > 1 && words[1] == "compose":
		return u.compose(words[2:])
	}
	return ""
}

var usageLine = regexp.MustCompile(`(?m)^Usage: \S+ *(.*)$`)

// program checks a verb and its flags against what its --help says.
func (u *usage) program(program string, args []string) string {
	verb := args
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") {
			verb = args[:i]
			break
		}
	}
	help := u.ask(program, verb[:min(len(verb), 2)])
	line := usageLine.FindStringSubmatch(help)
	if line == nil {
		return fmt.Sprintf("%s %s --help says nothing of its usage", program, strings.Join(verb, " "))
	}
	for i, word := range strings.Fields(line[1]) {
		if word == "<command>" && len(verb) > 0 {
			return fmt.Sprintf("%s has no command %s", program, strings.Join(verb, " "))
		}
		if strings.HasPrefix(word, "<") || strings.HasPrefix(word, "[") {
			break
		}
		if i < len(verb) && word != verb[i] {
			return fmt.Sprintf("%s has no command %s", program, strings.Join(verb, " "))
		}
	}
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if strings.HasPrefix(name, "-") && !regexp.MustCompile(`(?m)(^|[\s,])`+name+`([\s,=]|$)`).MatchString(help) {
			return fmt.Sprintf("%s %s has no flag %s", program, strings.Join(verb, " "), name)
		}
	}
	return ""
}

// settings checks the variables that are set for a daemon: those that begin with its name are said by its --help.
func (u *usage) settings(program string, settings []string) string {
	help := u.ask(program, []string{"serve"})
	for _, setting := range settings {
		name, _, _ := strings.Cut(setting, "=")
		if strings.HasPrefix(name, strings.ToUpper(program)+"_") && !strings.Contains(help, "$"+name) {
			return fmt.Sprintf("%s serve knows no %s", program, name)
		}
	}
	return ""
}

func (u *usage) ask(program string, verb []string) string {
	args := append(slices.Clone(verb), "--help")
	key := program + " " + strings.Join(args, " ")
	if _, ok := u.help[key]; !ok {
		output, _ := exec.Command(filepath.Join(u.bin, program), args...).CombinedOutput() // what is wrong, it says
		u.help[key] = string(output)
	}
	return u.help[key]
}

func (u *usage) targets(args []string) string {
	makefile, err := os.ReadFile(filepath.Join(u.root, "Makefile"))
	if err != nil {
		return err.Error()
	}
	for _, arg := range args {
		if !strings.ContainsAny(arg, "=-") && !regexp.MustCompile(`(?m)^`+arg+`:`).Match(makefile) {
			return "there is no make " + arg
		}
	}
	return ""
}

// packages checks that the folders that a go command names exist.
func (u *usage) packages(args []string) string {
	for _, arg := range args {
		if strings.HasPrefix(arg, "./") {
			if _, err := os.Stat(filepath.Join(u.root, strings.TrimSuffix(arg, "..."))); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

// checkUsage checks the blocks of a page that are not run.
func checkUsage(t *testing.T, u *usage, p page) {
	for _, b := range p.of("sh long", "sh docker") {
		for _, words := range commands(b) {
			if finding := u.check(words); finding != "" {
				t.Errorf("%s:%d: %s: %s", p.file, b.line, strings.Join(words, " "), finding)
			}
		}
	}
}

// findsStaleCommands shows that checkUsage can fail.
func findsStaleCommands(t *testing.T, u *usage) {
	tests := []struct {
		command string
		ok      bool
	}{
		{"go run ./sagactl demo --naive", true},
		{"go run ./sagactl demo --naif", false},
		{"sagactl dema", false},
		{"sagactl order create 1200 --wait", true},
		{"sagactl order creat 1200", false},
		{"sagactl explain $ORDER --json", true},
		{"ORDERD_LISTEN=:1 bin/orderd serve --log-level=info", true},
		{"orderd --log-volume=11", false},
		{"ORDERD_LISTENING=:1 orderd", false},
		{"make test  # all of it", true},
		{"make tests", false},
		{"go test -v -run Idle ./internal/lab/stack", true},
		{"go test ./internal/stack", false},
		{"docker compose up --build --wait --scale relay=3", true},
		{"docker compose up --scale relays=3", false},
		{"docker compose logs relays", false},
		{"docker compose -f compose.yaml logs -f relay", true},
		{"docker compose -f docker-compose.yml ps", false},
		{"docker compose --profile tools build", true},
		{"docker compose --profile toys build", false},
		{"docker compose run --rm sagactl explain --json", true},
		{"docker compose run --rm sagactl explained", false},
		{"git clone somewhere && make demos", false},
	}
	for _, tt := range tests {
		var findings []string
		for _, words := range commands(block{lines: []string{tt.command}}) {
			if finding := u.check(words); finding != "" {
				findings = append(findings, finding)
			}
		}
		if (len(findings) == 0) != tt.ok {
			t.Errorf("%s: got the findings %q", tt.command, findings)
		}
	}
}
