package proc

import (
	"os"
	"slices"
	"strings"
)

// Environment returns the environment of a child that belongs to a private system: this process's own, without what a
// person's shell says to clients of PostgreSQL, to our own daemons, and about proxies and languages, and then the
// settings. What builds programs, such as GOFLAGS, stays.
func Environment(settings ...string) []string {
	return append(slices.DeleteFunc(os.Environ(), isForeign), settings...)
}

// Isolate takes out of this process's environment what Environment leaves out: what it connects to is told by URLs and
// addresses alone. It is for programs that run private systems, and tests.
func Isolate() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); isForeign(variable) {
			_ = os.Unsetenv(name) // fails for no name that the environment has
		}
	}
}

// foreign is how the variables begin that would have a private system do something else: PGSERVICE, ORDERD_LISTEN,
// SAGACTL_TLS_CERT, GRPC_GO_LOG_SEVERITY_LEVEL. ORDERD, PAYMENTD and RELAY are also whole ones, which sagactl reads.
var foreign = []string{
	"PG", "ORDERD", "PAYMENTD", "RELAY", "SAGACTL_", "ORDERS_", "PAYMENTS_", "GRPC_", "LC_", "LANG",
}

func isForeign(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	name = strings.ToUpper(name) // curl and others have taught people http_proxy
	return strings.HasSuffix(name, "_PROXY") ||
		slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
