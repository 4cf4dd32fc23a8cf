package composetest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// observers are the services that only look, and the profiles that they belong to.
var observers = map[string][]string{
	"prometheus": {"metrics", "observe"},
	"grafana":    {"observe"},
	"jaeger":     {"observe"},
}

var pinned = regexp.MustCompile(`:v?\d+\.\d+\.\d+$`)

// checkObserver is for images of others that are no databases and no brokers.
func checkObserver(name string, s types.ServiceConfig) []string {
	if s.Image == "hosho" || strings.HasPrefix(s.Image, "postgres:") || slices.Contains(brokers, name) {
		return nil
	}
	var findings []string
	if !slices.Equal(s.Profiles, observers[name]) || len(s.Profiles) == 0 {
		findings = append(findings, "runs without being asked to, or under another profile")
	}
	if !pinned.MatchString(s.Image) {
		findings = append(findings, "its image has no version: "+s.Image)
	}
	bare := slices.Equal(s.CapDrop, []string{"ALL"}) && slices.Contains(s.SecurityOpt, "no-new-privileges:true")
	if !s.ReadOnly || !bare {
		findings = append(findings, "keeps privileges")
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind && !v.ReadOnly {
			findings = append(findings, "can write to "+v.Source)
		}
	}
	return findings
}

// checkTraces is for the switch that one variable is.
func checkTraces(name string, s types.ServiceConfig) []string {
	if _, ok := schema[name]; ok && variable(s, "OTEL_TRACES_EXPORTER") != "none" {
		return []string{"makes traces though nobody asked for them"}
	}
	return nil
}

// Prometheus asks each daemon, and what compares the databases, where they tell their metrics.
func TestPrometheusAsksAll(t *testing.T) {
	text, err := os.ReadFile("../../observe/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	asked := maps.Clone(metrics)
	asked["reconcile"] = "0.0.0.0:9104"
	for name, address := range asked {
		want := "{names: [" + name + "], type: A, port: " + strings.TrimPrefix(address, "0.0.0.0:") + ","
		if !strings.Contains(string(text), "job_name: "+name+"\n") || !strings.Contains(string(text), want) {
			t.Errorf("observe/prometheus.yml has no job %s with %q", name, want)
		}
	}
}
