package measured

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// told is what a daemon tells.
type told struct {
	started float64 // when its process was, in seconds of Unix time
	figures figures
}

func (d Daemon) read(ctx context.Context) (told, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.Address+"/metrics", nil)
	if err != nil {
		return told{}, err
	}
	request.Close = true // the next answer may be another process's
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return told{}, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return told{}, fmt.Errorf("got %s, want 200", reply.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(reply.Body)
	if err != nil {
		return told{}, err
	}
	t := told{figures: figures{}}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			t.figures.add(name, m)
		}
	}
	t.started = t.figures["process_start_time_seconds"]
	return t, nil
}

// add adds what is told of a metric with some labels. Of a histogram that is how much was observed, and the sum.
func (f figures) add(name string, m *dto.Metric) {
	labels := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	if h := m.GetHistogram(); h != nil {
		f[figure(name+"_count", labels)] = float64(h.GetSampleCount())
		f[figure(name+"_sum", labels)] = h.GetSampleSum()
		return
	}
	f[figure(name, labels)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}

// figure names one number of a metric.
func figure(name string, labels map[string]string) string {
	if len(labels) == 0 {
		return name
	}
	pairs := make([]string, 0, len(labels))
	for label, value := range labels {
		pairs = append(pairs, label+`="`+value+`"`)
	}
	slices.Sort(pairs)
	return name + "{" + strings.Join(pairs, ",") + "}"
}
