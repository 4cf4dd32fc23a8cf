package daemon

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// warnOfUnknown tells the log of the variables that have the program's prefix, or its database's, and that nobody
// reads: a slip in a name is otherwise a default that nobody chose. It never tells a value, which may be a secret.
func (p Program) warnOfUnknown(log *slog.Logger, model *kong.Node, environ []string) {
	known := p.variables(model)
	for _, setting := range environ {
		name, value, _ := strings.Cut(setting, "=")
		if p.means(name) && !slices.Contains(known, name) && !byKubernetes(name, value) && !forClients(name, environ) {
			log.Warn("unknown variable", "variable", name, "nearest", nearest(name, known))
		}
	}
}

// variables returns the names of all variables that the program's commands read.
func (p Program) variables(model *kong.Node) []string {
	var names []string
	for _, prefix := range p.prefixes() {
		names = append(names, prefix+"_DATABASE_URL", prefix+"_DATABASE_URL_FILE")
	}
	for _, command := range append(model.Children, model) {
		for _, flag := range command.Flags {
			names = append(names, flag.Envs...)
			if flag.Name == "listen-database-url" {
				listen := listenVariable(p.prefixes()[0])
				names = append(names, listen, listen+"_FILE")
			}
		}
	}
	return names
}

func (p Program) prefixes() []string {
	return []string{strings.ToUpper(p.Name), strings.ToUpper(string(p.Database))}
}

// means reports whether a variable was meant for the program, however it is spelt.
func (p Program) means(name string) bool {
	return slices.ContainsFunc(p.prefixes(), func(prefix string) bool {
		rest, ok := strings.CutPrefix(strings.ToUpper(name), prefix)
		return ok && rest != "" && strings.ContainsAny(rest[:1], "_-.")
	})
}

var (
	service = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	link    = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// byKubernetes reports whether a variable is one of those that Kubernetes gives every container for a service that is
// called as we are: ORDERD_SERVICE_HOST, ORDERD_PORT=tcp://10.0.0.1:50051, ORDERD_PORT_50051_TCP_ADDR.
func byKubernetes(name, value string) bool {
	return service.MatchString(name) || strings.HasSuffix(name, "_PORT") && link.MatchString(value)
}

// forClients reports whether a variable tells clients where the program listens, which another one has told it:
// ORDERD_HTTP beside ORDERD_HTTP_LISTEN, as "sagactl up" has them. Alone it may be a slip.
func forClients(name string, environ []string) bool {
	return slices.ContainsFunc(environ, func(setting string) bool {
		return strings.HasPrefix(setting, name+"_LISTEN=")
	})
}

// nearest returns the name that is the fewest slips away.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return slips(name, a) - slips(name, b) })
}

// slips is the edit distance of two names (Levenshtein), whose case does not count.
func slips(a, b string) int {
	a, b = strings.ToUpper(a), strings.ToUpper(b)
	row := make([]int, len(b)+1) // the distances of what of a was read from each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
