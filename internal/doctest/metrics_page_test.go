package doctest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// chapters are how the metrics are put in order, by how their names begin: the longest beginning counts.
var chapters = []struct {
	title string
	names []string
}{
	{"Calls", []string{"grpc_", "hosho_rpc_", "hosho_http_"}},
	{"Orders", []string{"hosho_order", "hosho_alarms_"}},
	{"The outbox", []string{"hosho_outbox_"}},
	{"Deliveries", []string{"hosho_deliver", "hosho_breaker_", "hosho_settle_", "hosho_relay_"}},
	{"Payments", []string{"hosho_payment", "hosho_ledger_"}},
	{"Events over a broker", []string{
		"hosho_broker_", "hosho_inbox_", "hosho_paymentd_events_", "hosho_relay_events_",
	}},
	{"Databases", []string{"hosho_db_", "hosho_database_", "hosho_schema_", "hosho_wakeups_", "hosho_scrape_"}},
	{"Reconciliation", []string{"hosho_reconcile_"}},
	{"The process", []string{""}},
}

func chapterOf(name string) (title string) {
	longest := -1
	for _, c := range chapters {
		for _, beginning := range c.names {
			if strings.HasPrefix(name, beginning) && len(beginning) > longest {
				title, longest = c.title, len(beginning)
			}
		}
	}
	return title
}

// open are the labels of which a page cannot tell all values.
var open = []string{
	"grpc_service", "grpc_method", "grpc_code", "currency", "version", "goversion", "path", "checksum", "revision",
}

const head = "| metric | type | labels | of | what it says |\n|---|---|---|---|---|\n"

// page writes the tables, a chapter each.
func (e *exposition) page() string {
	var b strings.Builder
	for _, c := range chapters {
		first := true
		for _, name := range slices.Sorted(maps.Keys(e.metrics)) {
			if chapterOf(name) != c.title {
				continue
			}
			if first {
				fmt.Fprintf(&b, "\n## %s\n\n%s", c.title, head)
				first = false
			}
			m := e.metrics[name]
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, m.kind, m.tellLabels(), e.tellPrograms(m), m.help)
		}
	}
	return b.String()
}

// tellLabels says which labels a metric has, and the values of those that have the same ones everywhere.
func (m *metric) tellLabels() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(m.labels)) {
		label := "`" + name + "`"
		if !slices.Contains(open, name) {
			values := slices.Sorted(slices.Values(m.labels[name]))
			label += ": " + strings.ReplaceAll(strings.Join(values, ", "), "|", `\|`)
		}
		all = append(all, label)
	}
	return strings.Join(all, "; ")
}

func (e *exposition) tellPrograms(m *metric) string {
	if len(m.programs) == len(e.programs) {
		return "all"
	}
	return strings.Join(m.programs, ", ")
}
