package daemon_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A slip in a name would leave a default that nobody chose. What Kubernetes gives a container for a service that is
// called as the daemon is is no slip, and no setting; nor is what tells clients where the daemon listens.
func TestAVariableThatNobodyReadsIsWarnedOf(t *testing.T) {
	t.Parallel()
	slips := map[string]string{ // and what was meant
		"SAMPLED_LISTN=127.0.0.1:5":         "SAMPLED_LISTEN",
		"SAMPLED_ADMINLISTEN=":              "SAMPLED_ADMIN_LISTEN",
		"SAMPLED_LOGLEVEL=debug":            "SAMPLED_LOG_LEVEL",
		"SAMPLED_DATABASE_URI=hunter2":      "SAMPLED_DATABASE_URL",
		"SAMPLED_DATABASE_URLFILE=/hunter2": "SAMPLED_DATABASE_URL_FILE",
		"ORDERS_DB_URL=hunter2":             "ORDERS_DATABASE_URL",
		"sampled_listen=127.0.0.1:5":        "SAMPLED_LISTEN",
		"SAMPLED-LISTEN=127.0.0.1:5":        "SAMPLED_LISTEN",
		"SAMPLED_PATIENCE_PORT=50051":       "SAMPLED_PATIENCE", // of no service: those have an address
	}
	environment := append(slices.Collect(maps.Keys(slips)), "SAMPLED_LISTEN=127.0.0.1:1004",
		"SAMPLED_PORT=tcp://10.0.0.1:50051", "SAMPLED_SERVICE_HOST=10.0.0.1", "SAMPLED_SERVICE_PORT=50051",
		"SAMPLED_SERVICE_PORT_GRPC=50051", "SAMPLED_PORT_50051_TCP=tcp://10.0.0.1:50051",
		"SAMPLED_PORT_50051_TCP_PROTO=tcp", "SAMPLED_PORT_50051_TCP_PORT=50051", "SAMPLED_PORT_50051_TCP_ADDR=10.0.0.1",
		"SAMPLED_ADMIN=127.0.0.1:9", "SAMPLED_ADMIN_LISTEN=", // where its clients are told to look
		"SAMPLED_ADMIN_SERVICE_HOST=10.0.0.1",                           // of a service sampled-admin
		"ORDERS_DB_PORT=tcp://10.0.0.1:5432",                            // of a service orders-db
		"ORDERD_LISTN=127.0.0.1:5", "SAMPLEDLY=", "SAMPLED=127.0.0.1:5", // somebody else's
	)
	got := map[string]string{}
	p := start(t, environment, "--database-url", url)
	line := p.first
	for ; line["msg"] == "unknown variable" && line["level"] == "WARN"; line = p.line(t) {
		got[line["variable"].(string)] = line["nearest"].(string)
		if strings.Contains(fmt.Sprint(line), "hunter2") {
			t.Errorf("got %v, want no value told", line)
		}
	}
	want := map[string]string{}
	for setting, nearest := range slips {
		name, _, _ := strings.Cut(setting, "=")
		want[name] = nearest
	}
	if !maps.Equal(got, want) {
		t.Errorf("got warnings of %v, want of %v", got, want)
	}
	if line["msg"] != "serving" || line["listen"] != "127.0.0.1:1004" {
		t.Errorf("got %v, want it to serve where it was told to", line)
	}
	if _, stderr, _ := run(t, environment, "version"); stderr != "" {
		t.Errorf("version: got %q, want nothing", stderr)
	}
}
