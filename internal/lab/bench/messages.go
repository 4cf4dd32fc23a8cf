package bench

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"hosho/internal/lab/stack"
)

// published is what a daemon tells of the events that a broker has confirmed.
const published = "hosho_broker_published_total"

// overBroker reports whether the sagas go over a broker.
func (c Config) overBroker() bool { return c.Transport != "" && c.Transport != stack.Calls }

// messages returns how many events the broker has confirmed to the daemons by now; 0 where there is none.
func (s *system) messages(ctx context.Context) (n int64, err error) {
	if !s.config.overBroker() {
		return 0, nil
	}
	for _, p := range append([]*stack.Process{s.Paymentd}, s.Relays...) {
		if !isRunning(p) {
			continue
		}
		of, err := confirmed(ctx, p.AdminAddress)
		if err != nil {
			return 0, fmt.Errorf("what %s has published: %w", p.Name, err)
		}
		n += of
	}
	return n, nil
}

func confirmed(ctx context.Context, admin string) (n int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return 0, err
	}
	for _, m := range families[published].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == "result" && label.GetValue() == "confirmed" {
				n += int64(m.GetCounter().GetValue())
			}
		}
	}
	return n, nil
}
