package alerttest

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"hosho/observe"
)

func TestPrometheusTakesTheRulesAndTheConfiguration(t *testing.T) {
	promtool(t, "check", "rules", filepath.Join(root, "observe/alerts.yml"))
	promtool(t, "check", "config", "--syntax-only", filepath.Join(root, "observe/prometheus.yml"))
}

func TestTheCasesHold(t *testing.T) {
	t.Parallel()
	promtool(t, append([]string{"test", "rules"}, cases(t)...)...)
}

func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "observe/cases/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got the files %q, error %v", files, err)
	}
	return files
}

// asked is what a case says of one moment.
type asked struct {
	Alertname string
	Expr      string
	Firing    []struct{ Labels string } `yaml:"exp_samples"`
	Messages  []any                     `yaml:"exp_alerts"`
}

// TestEveryAlertHasACaseThatFiresAndOneThatDoesNot holds also that what its messages name is a label that it has.
func TestEveryAlertHasACaseThatFiresAndOneThatDoesNot(t *testing.T) {
	fires, quiet := map[string]string{}, map[string]bool{}
	name := regexp.MustCompile(`alertname="(\w+)"`)
	for _, path := range cases(t) {
		var file struct {
			Tests []struct {
				Alerts      []asked `yaml:"alert_rule_test"`
				Expressions []asked `yaml:"promql_expr_test"`
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, strings.TrimPrefix(path, root))), &file); err != nil {
			t.Fatal(err)
		}
		for _, test := range file.Tests {
			for _, a := range slices.Concat(test.Alerts, test.Expressions) {
				if found := name.FindStringSubmatch(a.Expr); found != nil {
					a.Alertname = found[1]
				}
				for _, f := range a.Firing {
					fires[a.Alertname] += f.Labels
				}
				for range a.Messages {
					fires[a.Alertname] += " "
				}
				if len(a.Firing)+len(a.Messages) == 0 {
					quiet[a.Alertname] = true
				}
			}
		}
	}
	label := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, rule := range alerts(t, 1) {
		if fires[rule.Alert] == "" || !quiet[rule.Alert] {
			t.Errorf("%s: there is a case that fires: %t, and one that does not: %t; want both",
				rule.Alert, fires[rule.Alert] != "", quiet[rule.Alert])
		}
		for _, found := range label.FindAllStringSubmatch(rule.Annotations["summary"], -1) {
			if !strings.Contains(fires[rule.Alert], found[1]+`="`) {
				t.Errorf("%s names $labels.%s, and no case that fires has that label", rule.Alert, found[1])
			}
		}
	}
}

// TestEveryAlertHasItsEntryInTheRunbook looks for what each entry has.
func TestEveryAlertHasItsEntryInTheRunbook(t *testing.T) {
	runbook := read(t, "doc/operations.md")
	entries := regexp.MustCompile(`(?m)^### (Hosho\w+)$`).FindAllStringSubmatch(runbook, -1)
	rules := alerts(t, 1)
	for _, rule := range rules {
		if s := rule.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: got the severity %q, want page or ticket", rule.Alert, s)
		}
		if want := "doc/operations.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook"] != want {
			t.Errorf("%s: got the runbook %q, want %q", rule.Alert, rule.Annotations["runbook"], want)
		}
		for _, annotation := range []string{"summary", "description"} {
			if text := rule.Annotations[annotation]; !strings.HasSuffix(text, ".") {
				t.Errorf("%s: got the %s %q, want a sentence", rule.Alert, annotation, text)
			}
		}
		_, entry, found := strings.Cut(runbook, "\n### "+rule.Alert+"\n")
		entry, _, _ = strings.Cut(entry, "\n#")
		for _, part := range []string{"*Look at*", "*Do*", "*Do not*"} {
			if !found || !strings.Contains(entry, part) {
				t.Errorf("doc/operations.md: the entry of %s: there is one: %t; it has no %s", rule.Alert, found, part)
			}
		}
	}
	for _, entry := range entries {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.Alert == entry[1] }) {
			t.Errorf("doc/operations.md has an entry %s, and there is no such alert", entry[1])
		}
	}
}

// TestADividedRuleHasAllItsDurationsDivided holds the forms that alerts.yml says it keeps to.
func TestADividedRuleHasAllItsDurationsDivided(t *testing.T) {
	const factor = 60
	divided := filepath.Join(t.TempDir(), "alerts.yml")
	if err := os.WriteFile(divided, []byte(observe.Rules(factor)), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", divided)
	whole, parts := alerts(t, 1), alerts(t, factor)
	for i, rule := range whole {
		if got, want := time.Duration(parts[i].For), time.Duration(rule.For)/factor; got != want {
			t.Errorf("%s: got for: %s, want %s", rule.Alert, got, want)
		}
		was, is := nodes(t, rule.Expr), nodes(t, parts[i].Expr)
		if len(was) != len(is) {
			t.Fatalf("%s: got another expression:\n%s", rule.Alert, parts[i].Expr)
		}
		for j := range was {
			checkDivided(t, rule, was[j], is[j], factor)
		}
	}
}

func checkDivided(t *testing.T, rule rule, was, is parser.Node, factor float64) {
	t.Helper()
	switch was := was.(type) {
	case *parser.MatrixSelector:
		if got, want := is.(*parser.MatrixSelector).Range, was.Range/time.Duration(factor); got != want {
			t.Errorf("%s: got the window %s, want %s", rule.Alert, got, want)
		}
	case *parser.VectorSelector:
		if was.OriginalOffset != 0 || was.Timestamp != nil {
			t.Errorf("%s: an offset is none of the forms of durations", rule.Alert)
		}
	case *parser.SubqueryExpr:
		t.Errorf("%s: a subquery's windows are none of the forms of durations", rule.Alert)
	case *parser.NumberLiteral:
		line, _, _ := strings.Cut(rule.Expr[was.PosRange.Start:], "\n")
		want := was.Val
		if strings.HasSuffix(line, " # seconds") {
			want /= factor
		}
		if got := is.(*parser.NumberLiteral).Val; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v of the line %q", rule.Alert, got, want, line)
		}
	}
}
