package alerttest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// told is what the daemons tell: of each metric its labels, and the values of those whose values are a closed set. A
// label whose values are open has none.
type told map[string]map[string][]string

// given are the labels that Prometheus adds: the jobs are those of observe/prometheus.yml.
var given = map[string][]string{"job": {"orderd", "paymentd", "relay", "reconcile"}, "instance": nil}

// words are the values of labels that doc/metrics.md leaves open.
var words = map[string][]string{
	"grpc_code": {
		"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
		"PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
		"Internal", "Unavailable", "DataLoss", "Unauthenticated",
	},
	"grpc_service": {"order.v1.OrderService", "payment.v1.PaymentService", "relay.v1.OutboxService"},
}

var (
	row   = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| (.*?) \\| .*? \\| .* \\|$")
	label = regexp.MustCompile("^`(\\w+)`(?:: (.*))?$")
)

// readMetrics reads doc/metrics.md, which a test of its own holds against a whole system.
func readMetrics(t *testing.T) told {
	t.Helper()
	all := told{"up": {}}
	for _, found := range row.FindAllStringSubmatch(read(t, "doc/metrics.md"), -1) {
		values := map[string][]string{}
		for part := range strings.SplitSeq(found[3], "; ") {
			if l := label.FindStringSubmatch(part); l != nil {
				values[l[1]] = words[l[1]]
				if l[2] != "" {
					values[l[1]] = strings.Split(strings.ReplaceAll(l[2], `\|`, "|"), ", ")
				}
			}
		}
		all[found[1]] = values
		if found[2] == "histogram" {
			withLE := map[string][]string{"le": nil}
			for name, v := range values {
				withLE[name] = v
			}
			all[found[1]+"_bucket"], all[found[1]+"_sum"], all[found[1]+"_count"] = withLE, values, values
		}
	}
	if len(all) < 40 {
		t.Fatalf("doc/metrics.md: found only %d metrics", len(all))
	}
	ofTheRuntime(t, all)
	return all
}

// ofTheRuntime adds what client_golang tells of every process.
func ofTheRuntime(t *testing.T, all told) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		all[f.GetName()] = map[string][]string{}
	}
}

func TestAlertsNameWhatDaemonsTell(t *testing.T) {
	all := readMetrics(t)
	for _, rule := range alerts(t, 1) {
		for _, finding := range all.check(nodes(t, rule.Expr)) {
			t.Errorf("%s: %s", rule.Alert, finding)
		}
	}
}

var inLegend = regexp.MustCompile(`\{\{(\w+)\}\}`)

func TestPanelsNameWhatDaemonsTell(t *testing.T) {
	all := readMetrics(t)
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			parsed := nodes(t, asAsked(target.Expr))
			for _, finding := range all.check(parsed) {
				t.Errorf("%s: %s", p.Title, finding)
			}
			for _, name := range inLegend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(kept(parsed), name[1]) {
					t.Errorf("%s: the legend names %s, which %s has not", p.Title, name[1], target.Expr)
				}
			}
		}
	}
}

func TestWhatNoDaemonTellsIsFound(t *testing.T) {
	all := readMetrics(t)
	for expression, ok := range map[string]bool{
		`hosho_ready`: true, `hosho_reddy`: false, `up{job="relay"}`: true, `up{job="relais"}`: false,
		`hosho_breaker_open{kind="CHARGE"}`: true, `hosho_breaker_open{kind="Charge"}`: false,
		`hosho_breaker_open{sort="CHARGE"}`:             false,
		`sum by (kind) (hosho_breaker_open)`:            true,
		`sum by (sort) (hosho_breaker_open)`:            false,
		`hosho_breaker_open{kind=~"CHARGE|VOID"}`:       true,
		`hosho_breaker_open{kind=~"CHARGE|REFUND"}`:     false,
		`rate(hosho_settle_seconds_bucket{le="1"}[1m])`: true,
		`rate(hosho_breaker_open_bucket[1m])`:           false,
		`hosho_breaker_open and on (why) hosho_ready`:   false,
	} {
		if findings := all.check(nodes(t, expression)); (len(findings) == 0) != ok {
			t.Errorf("%s: got the findings %q", expression, findings)
		}
	}
}

// check returns what an expression names that nobody tells.
func (all told) check(parsed []parser.Node) (findings []string) {
	known := map[string]bool{"job": true, "instance": true}
	for _, n := range parsed {
		selector, ok := n.(*parser.VectorSelector)
		if !ok {
			continue
		}
		has, ok := all[selector.Name]
		if !ok {
			findings = append(findings, "no daemon tells "+selector.Name)
			continue
		}
		for name := range has {
			known[name] = true
		}
		for _, m := range selector.LabelMatchers {
			if m.Name == labels.MetricName {
				continue
			}
			values, ok := has[m.Name]
			if !ok {
				values, ok = given[m.Name]
			}
			if !ok {
				findings = append(findings, selector.Name+" has no label "+m.Name)
			} else if wrong := missing(m, values); wrong != "" {
				findings = append(findings, selector.Name+": no "+m.Name+" is "+wrong)
			}
		}
	}
	for _, name := range grouped(parsed) {
		if !known[name] {
			findings = append(findings, "it groups by "+name+", which nothing in it has")
		}
	}
	return findings
}

// missing returns the value that a matcher names and that a label never has, where its values are known. A pattern is
// one of words between bars, or it is one that any of the values matches.
func missing(m *labels.Matcher, values []string) string {
	if len(values) == 0 {
		return ""
	}
	for word := range strings.SplitSeq(m.Value, "|") {
		pattern := regexp.MustCompile("^(?:" + word + ")$")
		if !slices.ContainsFunc(values, pattern.MatchString) {
			return word
		}
	}
	return ""
}

// grouped returns the labels by which an expression groups or joins.
func grouped(parsed []parser.Node) (all []string) {
	for _, n := range parsed {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			all = append(all, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				all = append(all, n.VectorMatching.MatchingLabels...)
			}
		}
	}
	return all
}

// kept returns the labels of the result: those that the outermost group has, or what Prometheus adds.
func kept(parsed []parser.Node) []string {
	for _, n := range parsed {
		if group, ok := n.(*parser.AggregateExpr); ok {
			return group.Grouping
		}
	}
	return []string{"job", "instance"}
}
