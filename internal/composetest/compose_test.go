// Package composetest checks compose.yaml, as docker compose itself reads it. It is a module of its own, so that the
// project does not depend on what it needs for that.
package composetest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func TestCompose(t *testing.T) {
	text := read(t)
	tests := []struct {
		name     string
		old, new string // the edit
		want     string // in the one finding; empty: no finding
	}{
		{"as it is", "", "", ""},
		{"an unknown key", "read_only:", "readonly:", "readonly"},
		{"an unknown service", "  payments-migrate: {", "  payments-up: {", "payments-up"},
		{
			"a daemon that may write",
			"  read_only: true # they write", "  read_only: false #", "orderd: not read-only",
		},
		{
			"a port for the whole network",
			"127.0.0.1:50052:", "50052:", "paymentd: port 50052 is published beyond this machine",
		},
		{
			"metrics for this machine",
			`"127.0.0.1:50051:50051"`, `"127.0.0.1:9101:9101"`, "orderd: port 9101 is published",
		},
		{
			"orders as JSON for the whole network",
			"127.0.0.1:8000:", "8000:", "orderd: port 8000 is published beyond this machine",
		},
		{"a JSON door that is not published", `, "127.0.0.1:8000:8000"`, "", "orderd: its JSON door cannot be reached"},
		{
			"a JSON door for its container alone",
			"0.0.0.0:8000", "127.0.0.1:8000", "orderd: its JSON door cannot be reached",
		},
		{
			"metrics that nobody can read",
			"0.0.0.0:9102", "127.0.0.1:9102", "paymentd: its metrics cannot be read from the network",
		},
		{
			"one port for all relays",
			"50053-50055:", "50053:", "relay: there are not 3 ports for 3 relays",
		},
		{
			"a database on the other's volume",
			"payments-data:/", "orders-data:/", "payments-db: its data is not on a volume of its own",
		},
		{
			"a volume where version 18 does not look",
			"orders-data:/var/lib/postgresql", "orders-data:/var/lib/postgresql/data", "orders-db: its data is not on",
		},
		{"a database healthy too early", "--host=127.0.0.1", "--quiet", "orders-db: not asked over TCP"},
		{
			"a daemon that serves before the migration",
			"      payments-migrate: {condition: service_completed_successfully}",
			"      payments-db: {condition: service_healthy}", "paymentd: does not wait for payments-migrate",
		},
		{"a daemon in plaintext", "      ORDERD_TLS_CERT:", "      ORDERD_CERT:", "orderd: has no TLS_CERT"},
		{
			"a daemon with another's key",
			`["relay-secrets:/secrets:ro"`, `["paymentd-secrets:/secrets:ro"`, "relay: can read what is not its own",
		},
		{"a daemon before its certificate", "      certs: {cond", "      orders-db: {cond", "does not wait for its"},
		{
			"a reconciliation that serves this machine",
			`"0.0.0.0:9104"`, `"127.0.0.1:9104"`, "reconcile: does not go on, or its metrics cannot be read",
		},
		{
			"a reconciliation that reads before the tables are there",
			"      orders-migrate: {condition: service_completed_successfully}\n      payments-migrate:",
			"      payments-migrate:", "reconcile: does not wait for orders-migrate",
		},
		{
			"a reconciliation with more than the readers' URLs",
			`["orders-reader-secrets:/secrets/orders:ro"`, `["secrets:/secrets/orders:ro"`,
			"reconcile: can read what is not its own, or write it: secrets",
		},
		{
			"a reconciliation that nobody asks how it does",
			"[CMD, sagactl, healthcheck]", "[CMD, sagactl, version]", "reconcile: has no healthcheck of its own",
		},
		{
			"a console that acts",
			"console, --read-only", "console", "console: is not read-only, or cannot be reached from this machine",
		},
		{
			"a console for the whole network",
			"127.0.0.1:8001:8001", "8001:8001", "console: port 8001 is published beyond this machine",
		},
		{
			"a console that is somebody who may do more",
			`["reader-secrets:/secrets:ro"`, `["orderd-secrets:/secrets:ro"`,
			"console: can read what is not its own, or write it: orderd-secrets",
		},
		{
			"a console that knows one relay",
			"      relay: {condition: service_healthy}", "      relay: {condition: service_started}",
			"console: does not wait for the relays",
		},
		{
			"a console that nobody asks how it does",
			`sagactl, healthcheck, "127`, `sagactl, version, "127`, "console: has no healthcheck of its own",
		},
		{
			"a tool without the readers' URLs",
			"      - orders-reader-secrets:/secrets/orders_reader:ro\n", "",
			"sagactl: is not given orders-reader-secrets",
		},
		{"a tool that is always up", "profiles: [tools]", "profiles: []", "sagactl: runs without being asked to"},
		{
			"a tool that starts what is down",
			"entrypoint: [sagactl]", "entrypoint: [sagactl]\n    depends_on: [orderd]",
			"sagactl: starts what it is asked about",
		},
		{"an observer that always runs", "profiles: [observe]", "profiles: []", "grafana: runs without being asked to"},
		{"an observer of any version", "prometheus:v3.16.0", "prometheus", "prometheus: its image has no version"},
		{
			"an observer that may write",
			"observe:/etc/prometheus:ro", "observe:/etc/prometheus", "prometheus: can write to",
		},
		{"a dashboard for the whole network", "127.0.0.1:3000:", "3000:", "port 3000 is published beyond this machine"},
		{"traces by default", "HOSHO_TRACES:-none", "HOSHO_TRACES:-otlp", "makes traces though nobody asked"},
		{"a broker that always runs", "profiles: [nats]", "profiles: []", "nats: runs without being asked to"},
		{"a broker of any version", "nats:2.12-alpine", "nats:latest", "nats: its image has no version"},
		{
			"a broker for this machine",
			"    hostname: rabbitmq", `    ports: ["127.0.0.1:5672:5672"]` + "\n    hostname: rabbitmq",
			"rabbitmq: can be reached from outside its network",
		},
		{"a broker that forgets", "nats-data:/data", "/data", "nats: its data is not on a volume of its own"},
		{"a broker without topics", "profiles: [nats, rabbitmq, kafka]", "profiles: [nats]", "not on each broker"},
		{"a broker that everybody needs", ", required: false", "", "relay: wants a broker where nobody asked for one"},
		{
			"a daemon before its topics",
			"      broker-setup: *broker-setup\n", "", "relay: does not wait for the topics",
		},
		{"a broker by default", "HOSHO_TRANSPORT:-grpc", "HOSHO_TRANSPORT:-nats", "goes over a broker though nobody"},
		{
			"a tool that knows one database",
			"PAYMENTS_DATABASE_URL_FILE:", "PAYMENTS_URL:", "sagactl: PAYMENTS_DATABASE_URL_FILE is not",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			edited := strings.ReplaceAll(text, tt.old, tt.new)
			if tt.old == "" {
				edited = text
			} else if edited == text {
				t.Fatalf("compose.yaml has no %q", tt.old)
			}
			got := strings.Join(check(t, edited), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got the findings %q, want %q", got, tt.want)
			}
		})
	}
}

func read(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// check returns what is wrong with a compose file, first of all that it cannot be loaded.
func check(t *testing.T, text string) []string {
	t.Helper()
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  t.TempDir(),
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
	}, loader.WithProfiles([]string{"*"}))
	if err != nil {
		return []string{err.Error()}
	}
	findings := slices.Concat(checkTool(project), checkReconcile(project), checkConsole(project), checkTopics(project))
	for name, s := range project.Services {
		for _, finding := range slices.Concat(
			checkPorts(s), checkDatabase(name, s), checkOurs(s), checkDaemon(name, s), checkDoor(name, s),
			checkRelay(name, s), checkObserver(name, s), checkBroker(name, s), checkTraces(name, s),
		) {
			findings = append(findings, name+": "+finding)
		}
	}
	return findings
}

func checkPorts(s types.ServiceConfig) []string {
	var findings []string
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			findings = append(findings, "port "+p.Published+" is published beyond this machine")
		}
		if 9100 < p.Target && p.Target < 9110 { // metrics and profiles
			findings = append(findings, fmt.Sprintf("port %d is published", p.Target))
		}
	}
	return findings
}

func checkDatabase(name string, s types.ServiceConfig) []string {
	if !strings.HasPrefix(s.Image, "postgres:") {
		return nil
	}
	var findings []string
	volume := types.ServiceVolumeConfig{}
	if len(s.Volumes) == 1 {
		volume = s.Volumes[0]
	}
	own := strings.TrimSuffix(name, "-db") + "-data"
	if volume.Source != own || volume.Target != "/var/lib/postgresql" {
		findings = append(findings, "its data is not on a volume of its own at /var/lib/postgresql")
	}
	if s.HealthCheck == nil || !slices.Contains(s.HealthCheck.Test, "--host=127.0.0.1") {
		findings = append(findings, "not asked over TCP whether it is healthy")
	}
	return findings
}

// checkOurs is for what runs our image.
func checkOurs(s types.ServiceConfig) []string {
	if s.Image != "hosho" {
		return nil
	}
	var findings []string
	if !s.ReadOnly {
		findings = append(findings, "not read-only")
	}
	if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
		findings = append(findings, "keeps privileges")
	}
	return findings
}

// metrics is where each daemon serves them to its network.
var metrics = map[string]string{"orderd": "0.0.0.0:9101", "paymentd": "0.0.0.0:9102", "relay": "0.0.0.0:9103"}

// schema is the migration that each daemon needs.
var schema = map[string]string{"orderd": "orders-migrate", "relay": "orders-migrate", "paymentd": "payments-migrate"}

func checkDaemon(name string, s types.ServiceConfig) []string {
	migration, ok := schema[name]
	if !ok {
		return nil
	}
	var findings []string
	if s.DependsOn[migration].Condition != types.ServiceConditionCompletedSuccessfully {
		findings = append(findings, "does not wait for "+migration)
	}
	if s.DependsOn["certs"].Condition != types.ServiceConditionCompletedSuccessfully {
		findings = append(findings, "does not wait for its certificate")
	}
	needed := 0
	for _, on := range s.DependsOn {
		if on.Required {
			needed++
		}
	}
	if needed > 2 {
		findings = append(findings, "waits for more than its schema and its certificate")
	}
	findings = append(findings, checkSecrets(name, s)...)
	if s.HealthCheck == nil || !slices.Equal(s.HealthCheck.Test, []string{"CMD", name, "healthcheck"}) {
		findings = append(findings, "has no healthcheck of its own")
	}
	if s.Restart != types.RestartPolicyUnlessStopped {
		findings = append(findings, "is not restarted")
	}
	if variable(s, strings.ToUpper(name)+"_ADMIN_LISTEN") != metrics[name] {
		findings = append(findings, "its metrics cannot be read from the network")
	}
	return findings
}

// checkSecrets is for a daemon's certificate: it has one, and nobody else's, which it cannot change.
func checkSecrets(name string, s types.ServiceConfig) []string {
	var findings []string
	for _, setting := range []string{"_DATABASE_URL_FILE", "_TLS_CERT", "_TLS_KEY", "_TLS_CA", "_ALLOW"} {
		if variable(s, strings.ToUpper(name)+setting) == "" {
			findings = append(findings, "has no "+setting[1:])
		}
	}
	for _, v := range s.Volumes {
		if v.Source != name+"-secrets" && v.Source != "policy" || !v.ReadOnly {
			findings = append(findings, "can read what is not its own, or write it: "+v.Source)
		}
	}
	return findings
}

// checkDoor is for curl from this machine.
func checkDoor(name string, s types.ServiceConfig) []string {
	published := slices.ContainsFunc(s.Ports, func(p types.ServicePortConfig) bool {
		return p.Published == "8000" && p.Target == 8000
	})
	if name == "orderd" && (variable(s, "ORDERD_HTTP_LISTEN") != "0.0.0.0:8000" || !published) {
		return []string{"its JSON door cannot be reached from this machine"}
	}
	return nil
}

// checkRelay is for `--scale relay=3`: with one port only the first would start.
func checkRelay(name string, s types.ServiceConfig) []string {
	if name == "relay" && (len(s.Ports) != 1 || s.Ports[0].Published != "50053-50055") {
		return []string{"there are not 3 ports for 3 relays"}
	}
	return nil
}

// checkTool is for `docker compose run --rm sagactl`.
func checkTool(project *types.Project) []string {
	s, ok := project.Services["sagactl"]
	if !ok {
		return []string{"sagactl: there is none"}
	}
	var findings []string
	if !slices.Equal(s.Profiles, []string{"tools"}) {
		findings = append(findings, "sagactl: runs without being asked to")
	}
	if len(s.DependsOn) > 0 {
		findings = append(findings, "sagactl: starts what it is asked about")
	}
	for name, want := range map[string]string{
		"ORDERD": "orderd:50051", "PAYMENTD": "paymentd:50052", "RELAY": "relay:50053",
		"ORDERS_DATABASE_URL_FILE":   "/secrets/orders_reader/database-url",
		"PAYMENTS_DATABASE_URL_FILE": "/secrets/payments_reader/database-url",
	} {
		if got := variable(s, name); got != want {
			findings = append(findings, fmt.Sprintf("sagactl: %s is not %q but %q", name, want, got))
		}
	}
	return findings
}

// readers are the volumes with the URLs of those who only read, and where the reconciliation finds them.
var readers = map[string]string{"orders": "orders-reader-secrets", "payments": "payments-reader-secrets"}

// checkReconcile is for what compares the databases as long as the system is up. It has no certificate, since it calls
// nobody.
func checkReconcile(project *types.Project) []string {
	s, ok := project.Services["reconcile"]
	if !ok {
		return []string{"reconcile: there is none"}
	}
	var findings []string
	want := []string{"sagactl", "reconcile", "--every", "1m", "--listen", "0.0.0.0:9104"}
	if !slices.Equal(s.Command, want) || len(s.Profiles) > 0 {
		findings = append(findings, "reconcile: does not go on, or its metrics cannot be read from the network")
	}
	if s.HealthCheck == nil || !slices.Equal(s.HealthCheck.Test, []string{"CMD", "sagactl", "healthcheck"}) {
		findings = append(findings, "reconcile: has no healthcheck of its own")
	}
	if s.Restart != types.RestartPolicyUnlessStopped {
		findings = append(findings, "reconcile: is not restarted")
	}
	for database, volume := range readers {
		if s.DependsOn[database+"-migrate"].Condition != types.ServiceConditionCompletedSuccessfully {
			findings = append(findings, "reconcile: does not wait for "+database+"-migrate")
		}
		name, want := strings.ToUpper(database)+"_DATABASE_URL_FILE", "/secrets/"+database+"/database-url"
		if got := variable(s, name); got != want {
			findings = append(findings, fmt.Sprintf("reconcile: %s is not %q but %q", name, want, got))
		}
		tool := types.ServiceVolumeConfig{}
		for _, v := range project.Services["sagactl"].Volumes {
			if v.Source == volume {
				tool = v
			}
		}
		if tool.Target != "/secrets/"+database+"_reader" || !tool.ReadOnly {
			findings = append(findings, "sagactl: is not given "+volume)
		}
	}
	for _, v := range s.Volumes {
		if !slices.Contains([]string{"orders-reader-secrets", "payments-reader-secrets"}, v.Source) || !v.ReadOnly {
			findings = append(findings, "reconcile: can read what is not its own, or write it: "+v.Source)
		}
	}
	return findings
}

// checkConsole is for a browser on this machine. It sees everything, and changes nothing.
func checkConsole(project *types.Project) []string {
	s, ok := project.Services["console"]
	if !ok {
		return []string{"console: there is none"}
	}
	var findings []string
	want := []string{
		"sagactl", "console", "--read-only", "--listen", "0.0.0.0:8001", "--allow-host", "localhost",
	}
	published := slices.ContainsFunc(s.Ports, func(p types.ServicePortConfig) bool { return p.Published == "8001" })
	if !slices.Equal(s.Command, want) || !published || len(s.Profiles) > 0 {
		findings = append(findings, "console: is not read-only, or cannot be reached from this machine")
	}
	for name, want := range map[string]string{
		"ORDERD": "orderd:50051", "PAYMENTD": "paymentd:50052", "RELAY": "relay:50053",
		"SAGACTL_TLS_CERT": "/secrets/tls.crt", "SAGACTL_TLS_KEY": "/secrets/tls.key",
		"SAGACTL_TLS_CA": "/secrets/ca.crt",
	} {
		if got := variable(s, name); got != want {
			findings = append(findings, fmt.Sprintf("console: %s is not %q but %q", name, want, got))
		}
	}
	if s.DependsOn["certs"].Condition != types.ServiceConditionCompletedSuccessfully {
		findings = append(findings, "console: does not wait for its certificate")
	}
	if s.DependsOn["relay"].Condition != types.ServiceConditionHealthy {
		findings = append(findings, "console: does not wait for the relays")
	}
	test := []string{"CMD", "sagactl", "healthcheck", "127.0.0.1:8001"}
	if s.HealthCheck == nil || !slices.Equal(s.HealthCheck.Test, test) {
		findings = append(findings, "console: has no healthcheck of its own")
	}
	if s.Restart != types.RestartPolicyUnlessStopped {
		findings = append(findings, "console: is not restarted")
	}
	for _, v := range s.Volumes {
		if v.Source != "reader-secrets" || !v.ReadOnly {
			findings = append(findings, "console: can read what is not its own, or write it: "+v.Source)
		}
	}
	return findings
}

// variable returns a variable of a service's environment, "" when it has none.
func variable(s types.ServiceConfig, name string) string {
	if value := s.Environment[name]; value != nil {
		return *value
	}
	return ""
}
