package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Firing is an alert that fired, for one set of labels.
type Firing struct {
	Alert  string
	Labels string        // the others, such as kind="CHARGE"
	First  time.Time     // when it did
	For    time.Duration // how long in all
}

// Fired returns what has fired since the start, the first one first.
func (p *Prometheus) Fired(ctx context.Context) ([]Firing, error) {
	found, err := p.query(ctx, fmt.Sprintf(`ALERTS{alertstate="firing"}[%s]`,
		prometheusDuration(time.Since(p.began)+time.Millisecond)))
	if err != nil {
		return nil, err
	}
	var all []Firing
	for _, series := range found {
		all = append(all, Firing{
			Alert: series.Metric["alertname"], Labels: others(series.Metric), First: series.first(),
			For: time.Duration(len(series.Values)) * p.every,
		})
	}
	slices.SortFunc(all, func(a, b Firing) int {
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Alert, b.Alert), cmp.Compare(a.Labels, b.Labels))
	})
	return all, nil
}

// others are the labels of an alert that tell it from another of its name.
func others(labels map[string]string) string {
	var all []string
	for name, value := range labels {
		switch name {
		case "__name__", "alertname", "alertstate", "severity":
		default:
			all = append(all, fmt.Sprintf("%s=%q", name, value))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// series is what Prometheus answers: the samples of a range, or the one of a moment, which is not looked at here.
type series struct {
	Metric map[string]string    `json:"metric"`
	Values [][2]json.RawMessage `json:"values"` // seconds since 1970, and a text
}

func (s series) first() time.Time {
	if len(s.Values) == 0 {
		return time.Time{}
	}
	var seconds float64
	if json.Unmarshal(s.Values[0][0], &seconds) != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000))
}

// query asks Prometheus.
func (p *Prometheus) query(ctx context.Context, expression string) ([]series, error) {
	address := "http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(expression)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask prometheus: %w", err)
	}
	defer reply.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []series }
	}
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("ask prometheus: %s: %w", reply.Status, err)
	}
	if answer.Status != "success" {
		return nil, errors.New("ask prometheus: " + answer.Error)
	}
	return answer.Data.Result, nil
}
