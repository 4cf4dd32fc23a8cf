package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hosho/internal/order"
	"hosho/internal/payment"
	"hosho/internal/rules"
)

// document is doc/rules.md.
func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "doc", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wants fails the test unless the document has a block of lines.
func wants(t *testing.T, document, what, block string) {
	t.Helper()
	if !strings.Contains(document, "\n"+block+"\n") {
		t.Errorf("doc/rules.md: %s must read\n%s", what, block)
	}
}

func TestTheDocumentHasEachRuleWithItsSentence(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for _, r := range rules.Rules {
		wants(t, doc, r.Number.String(), fmt.Sprintf("### Rule %d\n\n**%s**", r.Number, r.Says))
	}
	if got := strings.Count(doc, "\n### Rule "); got != len(rules.Rules) {
		t.Errorf("doc/rules.md has %d rules, want %d", got, len(rules.Rules))
	}
}

// Each invariant has a row: its anchor and name, its sentence, when it holds, and who checks it, each with a word more
// where the author has one.
func TestTheDocumentHasEachInvariantWithItsSentence(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for _, i := range rules.Invariants {
		anchor := fmt.Sprintf(`| <a id="%s"></a>%s | `, strings.ToLower(string(i.ID)), i.ID)
		_, row, found := strings.Cut(doc, "\n"+anchor)
		row, _, _ = strings.Cut(row, "\n")
		if want := i.Says + " | " + string(i.When) + " | "; !found || !strings.HasPrefix(row, want) {
			t.Errorf("doc/rules.md: got the row %q of %s, want it to begin with %q", row, i.ID, anchor+want)
		}
		for _, checker := range i.By {
			if word := words[checker]; !strings.Contains(row, word) {
				t.Errorf("doc/rules.md: %s: got the row %q, want %q among those who check it", i.ID, row, word)
			}
		}
		for checker, word := range words {
			if strings.Contains(row, word) && !strings.Contains(fmt.Sprint(i.By), string(checker)) {
				t.Errorf("doc/rules.md: %s: got the row %q; the catalogue does not say that %s checks it", i.ID, row,
					checker)
			}
		}
	}
	if got := strings.Count(doc, `| <a id="`); got != len(rules.Invariants) {
		t.Errorf("doc/rules.md has %d invariants, want %d", got, len(rules.Invariants))
	}
}

// words is how the document calls the checkers, each with its place.
var words = map[rules.Checker]string{
	rules.Databases:   "[invariant]",
	rules.Clients:     "[load]",
	rules.Experiment:  "[chaos]",
	rules.Production:  "[reconcile]",
	rules.Model:       "[model]",
	rules.Schema:      "schema: ",
	rules.OrderGrants: "[grants]",
}

// What the document says that the schema refuses is a constraint or a trigger of a migration.
func TestTheSchemasPartOfTheDocumentIsThere(t *testing.T) {
	t.Parallel()
	migrations, err := filepath.Glob(filepath.Join(root, "migrations", "*", "*.sql"))
	if err != nil || len(migrations) == 0 {
		t.Fatalf("got %d migrations, %v", len(migrations), err)
	}
	schema := ""
	for _, file := range migrations {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		schema += string(text)
	}
	found := 0
	for line := range strings.Lines(document(t)) {
		_, list, _ := strings.Cut(line, words[rules.Schema])
		for _, name := range regexp.MustCompile("`[a-z_]+`").FindAllString(list, -1) {
			found++
			name = strings.Trim(name, "`")
			if !strings.Contains(schema, "CONSTRAINT "+name+" ") && !strings.Contains(schema, "TRIGGER "+name+" ") {
				t.Errorf("doc/rules.md: no migration has the constraint or trigger %s", name)
			}
		}
	}
	if found == 0 {
		t.Error("doc/rules.md names no constraint")
	}
}

func TestTheDocumentsTableOfOrdersIsApply(t *testing.T) {
	t.Parallel()
	lines := []string{"| event |", "|---|"}
	for _, s := range order.States {
		lines[0] += " " + s.String() + " |"
		lines[1] += "---|"
	}
	for _, event := range order.Events {
		line := "| " + event.String() + " |"
		for _, s := range order.States {
			line += " " + orderCell(s, event) + " |"
		}
		lines = append(lines, line)
	}
	wants(t, document(t), "the table of orders", strings.Join(lines, "\n"))
}

func orderCell(s order.State, event order.Event) string {
	t, err := order.Apply(s, event)
	if err != nil {
		return "refused"
	}
	var parts []string
	if t.Changes(s) {
		parts = append(parts, "→ "+t.To.String())
	}
	if t.Reason != "" {
		parts[0] += " (" + string(t.Reason) + ")"
	}
	if fate := fates[t.Fate]; fate != "" {
		parts = append(parts, fate)
	}
	if t.Void {
		parts = append(parts, "+ VOID")
	}
	if t.Alarm {
		parts = append(parts, "alarm")
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

var fates = map[order.Fate]string{
	order.Keep: "", order.Drop: "drop", order.DropAll: "drop all", order.Retry: "retry",
	order.RetrySlowly: "retry slowly", order.Rebuild: "rebuild", order.Park: "park",
}

func TestTheDocumentsTableOfPaymentsIsApply(t *testing.T) {
	t.Parallel()
	lines := []string{"| stored |", "|---|"}
	for _, c := range payment.Commands {
		lines[0] += " " + c.String() + " |"
		lines[1] += "---|"
	}
	for _, stored := range payment.Statuses {
		line := "| " + orNothing(stored) + " |"
		for _, c := range payment.Commands {
			line += " " + paymentCell(stored, c) + " |"
		}
		lines = append(lines, line)
	}
	wants(t, document(t), "the table of payments", strings.Join(lines, "\n"))
}

func orNothing(s payment.Status) string {
	if s == payment.None {
		return "nothing"
	}
	return string(s)
}

func paymentCell(stored payment.Status, c payment.Command) string {
	d := payment.Apply(stored, c)
	if d.Status == stored {
		return string(d.Status)
	}
	cell := "→ " + string(d.Status)
	if d.Reason != "" {
		cell += " (" + string(d.Reason) + ")"
	}
	if d.Entry != payment.NoEntry {
		cell += ", ledger " + string(d.Entry)
	}
	return cell
}

func TestTheDocumentsDiagramsAreApply(t *testing.T) {
	t.Parallel()
	doc := document(t)
	orders := []string{"stateDiagram-v2", "    [*] --> PENDING: order placed"}
	named := func(s order.State) string { return strings.ReplaceAll(s.String(), " ", "_") }
	for _, from := range order.States {
		for _, to := range order.States {
			var events []string
			for _, event := range order.Events {
				if t, err := order.Apply(from, event); err == nil && t.Changes(from) && t.To == to {
					events = append(events, event.String())
				}
			}
			orders = append(orders, edge(named(from), named(to), events)...)
		}
	}
	orders = append(orders, "    CANCELLED --> [*]", "    CANCELLED_by_hand --> [*]")
	wants(t, doc, "the diagram of orders", strings.Join(orders, "\n"))

	payments := []string{"stateDiagram-v2"}
	for _, from := range payment.Statuses {
		for _, to := range payment.Statuses {
			var commands []string
			for _, c := range payment.Commands {
				if from != to && payment.Apply(from, c).Status == to {
					commands = append(commands, c.String())
				}
			}
			start := string(from)
			if from == payment.None {
				start = "[*]"
			}
			payments = append(payments, edge(start, string(to), commands)...)
		}
	}
	wants(t, doc, "the diagram of payments", strings.Join(payments, "\n"))
}

// edge is the line of a diagram, none when nothing leads from one state to the other.
func edge(from, to string, causes []string) []string {
	if len(causes) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("    %s --> %s: %s", from, to, strings.Join(causes, "<br/>"))}
}

func TestTheDocumentsLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	doc := document(t)
	links := regexp.MustCompile(`\]\(([^)#]*)(?:#[^)]*)?\)`).FindAllStringSubmatch(doc, -1)
	if len(links) == 0 {
		t.Error("doc/rules.md has no links")
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join(root, "doc", filepath.FromSlash(link[1]))); err != nil {
			t.Errorf("doc/rules.md: %v", err)
		}
	}
}
