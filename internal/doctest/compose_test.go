package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// composeValues are the flags of docker compose that take a value; -f before the verb does, too.
var composeValues = []string{"--scale", "--profile", "--tail", "--timeout", "-t", "-e", "--index"}

// compose checks the services and files of a docker compose command, and what is run inside.
func (u *usage) compose(args []string) string {
	verb := ""
	for i := 0; i < len(args); i++ {
		arg := args[i]
		hasValue := slices.Contains(composeValues, arg) || arg == "-f" && verb == ""
		switch {
		case hasValue && i+1 < len(args):
			i++
			if finding := u.composeFlag(arg, args[i]); finding != "" {
				return finding
			}
		case strings.HasPrefix(arg, "-"):
		case verb == "":
			verb = arg
		case !u.composeHas("  " + arg + ":"):
			return "compose.yaml has no service " + arg
		case verb == "port":
			return "" // and a port of the service
		case verb == "run" || verb == "exec":
			return u.inside(arg, args[i+1:])
		}
	}
	return ""
}

func (u *usage) composeFlag(flag, value string) string {
	service, _, _ := strings.Cut(value, "=")
	switch {
	case flag == "--scale" && !u.composeHas("  "+service+":"):
		return "compose.yaml has no service " + service
	case flag == "--profile" && !u.composeMatches(`    profiles: \[([a-z]+, )*`+regexp.QuoteMeta(value)+`[],]`):
		return "compose.yaml has no profile " + value
	case flag == "-f":
		if _, err := os.Stat(filepath.Join(u.root, value)); err != nil {
			return err.Error()
		}
	}
	return ""
}

// inside checks what is run in a service's container.
func (u *usage) inside(service string, words []string) string {
	if service == "sagactl" && (len(words) == 0 || words[0] != "sagactl") {
		words = slices.Concat([]string{"sagactl"}, words) // its entrypoint
	}
	return u.check(words)
}

// composeHas reports whether a line of compose.yaml begins with a text.
func (u *usage) composeHas(text string) bool {
	return u.composeMatches(regexp.QuoteMeta(text))
}

// composeMatches does the same for a pattern.
func (u *usage) composeMatches(pattern string) bool {
	file, err := os.ReadFile(filepath.Join(u.root, "compose.yaml"))
	return err == nil && regexp.MustCompile(`(?m)^`+pattern).Match(file)
}
