package alerttest

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"hosho/observe"
)

const root = "../.."

var promql = parser.NewParser(parser.Options{})

type rule = rulefmt.Rule

// alerts parses the rules, their durations divided by a factor.
func alerts(t *testing.T, factor float64) []rule {
	t.Helper()
	groups, errs := rulefmt.Parse([]byte(observe.Rules(factor)), false, model.UTF8Validation, promql,
		slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// nodes are those of an expression, in their order.
func nodes(t *testing.T, expression string) []parser.Node {
	t.Helper()
	parsed, err := promql.ParseExpr(expression)
	if err != nil {
		t.Fatalf("%v in\n%s", err, expression)
	}
	var all []parser.Node
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		if n != nil {
			all = append(all, n)
		}
		return nil
	})
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("%v: `make prometheus` installs it", err)
	}
	if said, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}
