package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"hosho/internal/lab/stack"
)

type variable struct{ name, value string }

// places are where a system is.
func places(system *stack.Stack) []variable {
	all := []variable{
		{"ORDERD", system.Orderd.Address},
		{"ORDERD_HTTP", system.Orderd.HTTPAddress},
		{"PAYMENTD", system.Paymentd.Address},
		{"RELAY", system.Relays[0].Address},
		{"ORDERS_DATABASE_URL", system.OrdersURL()},
		{"PAYMENTS_DATABASE_URL", system.PaymentsURL()},
		{"DATA", system.Dir},
	}
	if system.Broker != nil {
		all = append(all, variable{"SAGACTL_BROKER_URL", system.Broker.URL()})
	}
	return all
}

// forget has a shell forget what it says to clients of PostgreSQL, to sagactl and to daemons: of PGSERVICE, RELAY_LEASE
// or another system's certificate a system of its own wants to hear nothing.
const forget = `# What this shell says to other systems' programs.
for name in $(env | grep -Eo '^(PG|(SAGACTL|ORDERD|PAYMENTD|RELAY|ORDERS|PAYMENTS)_)[A-Za-z0-9_]*='); do
	unset "${name%=}"
done
unset name
unset -f shop 2>/dev/null`

// environment is a file for a shell to source: then sagactl and the daemons' own programs find the system, and a daemon
// that is killed and started again by hand is the same one.
func environment(system *stack.Stack, at []variable) string {
	var file strings.Builder
	export := func(name, value string) { fmt.Fprintf(&file, "export %s=%s\n", name, quoted(value)) }
	fmt.Fprintln(&file, forget)
	fmt.Fprintln(&file, "\n# Where the system of \"sagactl up\" is.")
	for _, v := range at {
		export(v.name, v.value)
	}
	fmt.Fprintf(&file, "export PATH=%s:\"$PATH\"\n", quoted(filepath.Join(system.Dir, "bin")))
	fmt.Fprintln(&file, "\n# What makes each daemon this one, also when it is started again by hand.")
	for _, p := range system.Daemons() {
		for _, setting := range p.Settings {
			name, value, _ := strings.Cut(setting, "=")
			export(name, value)
		}
	}
	if !system.Files(shopName).None() {
		fmt.Fprintln(&file, "\n# You are the operator, who sees all and may cancel. shop is sagactl as the shop.")
		for _, v := range certificateOf(system, "operator") {
			export(v.name, v.value)
		}
		fmt.Fprintf(&file, "%s() {", shopName)
		for _, v := range certificateOf(system, shopName) {
			fmt.Fprintf(&file, " %s=%s", v.name, quoted(v.value))
		}
		fmt.Fprintln(&file, ` sagactl "$@"; }`)
	}
	fmt.Fprintln(&file, "\n# order AMOUNT places an order and prints its id.")
	fmt.Fprintf(&file, "order() { %s order create --quiet \"$@\"; }\n", asShop(system).sagactl)
	return file.String()
}

// shopName is who places orders in the shipped policy, and the shell's function that is sagactl as it.
const shopName = "shop"

// certificateOf is how sagactl has somebody's certificate.
func certificateOf(system *stack.Stack, who string) []variable {
	files := system.Files(who)
	return []variable{{"SAGACTL_TLS_CERT", files.Cert}, {"SAGACTL_TLS_KEY", files.Key}, {"SAGACTL_TLS_CA", files.CA}}
}

// word is a text as a person writes it in a shell: quoted only where it must be.
func word(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return quoted(text)
}

var plainWord = regexp.MustCompile(`^[\w./+-]+$`)

// quoted is a text as a word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
