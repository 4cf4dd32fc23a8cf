package doctest

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

var update = flag.Bool("update", false, "write doc/metrics.md anew, from what the programs say")

// metricsPage is written by people down to the mark, and from there on by make metrics.
const (
	metricsPage = "doc/metrics.md"
	metricsMark = "<!-- from here on written by make metrics -->\n"
)

// TestEveryMetricIsOnItsPage asks a whole system, with certificates, that has settled an order of each end; and one
// whose saga goes over a broker.
func TestEveryMetricIsOnItsPage(t *testing.T) {
	slow.Test(t, "runs a whole system, and asks it for its metrics")
	s := startForMetrics(t, stack.Calls)
	var found exposition
	for _, p := range append(s.Daemons(), startForMetrics(t, brokers.NATS).Daemons()...) {
		found.add(t, p.Name, scrapeOf(t, p.AdminAddress))
	}
	found.add(t, "reconcile", scrapeOf(t, startReconcile(t, s, filepath.Dir(s.Orderd.Program()))))
	tables := found.page()
	file := filepath.Join(root, filepath.FromSlash(metricsPage))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	prose, written, ok := strings.Cut(string(text), metricsMark)
	if !ok {
		t.Fatalf("%s has no line %s", metricsPage, metricsMark)
	}
	if *update {
		if err := os.WriteFile(file, []byte(prose+metricsMark+tables), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if finding := differ(strings.Split(written, "\n"), strings.Split(tables, "\n")); finding != "" {
		t.Errorf("%s is not what the programs say, make metrics writes it: %s", metricsPage, finding)
	}
}

// startForMetrics starts a system in which an order was paid and one was declined, so that what is counted for the
// first time is there as well.
func startForMetrics(t *testing.T, transport string) *stack.Stack {
	t.Helper()
	dir, err := stack.NewFolder("metrics")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Remove(); err != nil {
			t.Error(err)
		}
	})
	bin := filepath.Join(dir.Path(), "bin")
	if err := stack.Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Config{
		Bin: bin, Dir: filepath.Join(dir.Path(), "data"), Relays: 1, Simulate: stack.Simulate, Admin: true, TLS: true,
		HTTP: true, Roles: true, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	settleForMetrics(t, s)
	return s
}

func settleForMetrics(t *testing.T, s *stack.Stack) {
	t.Helper()
	conn, err := s.Dial(s.Orderd, "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for amount, want := range map[int64]orderv1.Order_Status{
		1200: orderv1.Order_STATUS_COMPLETED, 9996: orderv1.Order_STATUS_CANCELLED,
	} {
		reply, err := orderv1.NewOrderServiceClient(conn).CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
			CustomerId: "test", CurrencyCode: "JPY", Wait: durationpb.New(9 * time.Second),
			Items: []*orderv1.Item{{Name: "tea", Quantity: 1, UnitPrice: amount}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := reply.GetOrder().GetStatus(); got != want {
			t.Fatalf("the order of %d: got %v, want %v", amount, got, want)
		}
	}
}

func scrapeOf(t *testing.T, address string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", address, reply.Status, err, text)
	}
	return text
}

// exposition is what several programs say on /metrics.
type exposition struct {
	programs []string
	metrics  map[string]*metric
}

// metric is one of them, whatever its labels say.
type metric struct {
	kind, help string
	programs   []string
	labels     map[string][]string // the values of each label
}

// add reads what a program says, and holds it against the rules of Prometheus. Two programs give a metric that they
// share the same meaning.
func (e *exposition) add(t *testing.T, program string, text []byte) {
	t.Helper()
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s: %s", program, problem.Metric, problem.Text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if e.metrics == nil {
		e.metrics = map[string]*metric{}
	}
	e.programs = with(e.programs, program)
	for name, family := range families {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") { // of client_golang, and well known
			continue
		}
		m := e.metrics[name]
		if m == nil {
			m = &metric{labels: map[string][]string{}}
			m.kind, m.help = strings.ToLower(family.GetType().String()), family.GetHelp()
			e.metrics[name] = m
		}
		if m.help != family.GetHelp() {
			t.Errorf("%s: got the help %q of %s, and %q of %v", name, family.GetHelp(), program, m.help, m.programs)
		}
		m.programs = with(m.programs, program)
		m.note(family.GetMetric())
	}
}

// with returns names with one more, unless it is there.
func with(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

func (m *metric) note(all []*dto.Metric) {
	for _, one := range all {
		for _, label := range one.GetLabel() {
			m.labels[label.GetName()] = with(m.labels[label.GetName()], label.GetValue())
		}
	}
}
