// Package composetest checks compose.yaml, as docker compose itself reads it. It is a module of its own, so that the
// project does not depend on what it needs for that.
package composetest

import (
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
		{"an unknown service", "{payments-migrate: {", "{payments-up: {", "payments-up"},
		{"a daemon that may write", "  read_only: true # they write", "  read_only: false #", "orderd: not read-only"},
		{"a port for the whole network", "127.0.0.1:50052:", "50052:", "paymentd: port 50052 is published beyond this machine"},
		{"a database on the other's volume", "payments-data:/", "orders-data:/", "payments-db: its data is not on a volume of its own"},
		{"a volume where version 18 does not look", "orders-data:/var/lib/postgresql", "orders-data:/var/lib/postgresql/data", "orders-db: its data is not on"},
		{"a database healthy too early", "--host=127.0.0.1", "--quiet", "orders-db: not asked over TCP"},
		{"a daemon that serves before the migration", "{payments-migrate: {condition: service_completed_successfully}}", "{payments-db: {condition: service_healthy}}", "paymentd: does not wait for payments-migrate"},
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

// check answers what is wrong with a compose file, first of all that it cannot be loaded.
func check(t *testing.T, text string) []string {
	t.Helper()
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  t.TempDir(),
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
	})
	if err != nil {
		return []string{err.Error()}
	}
	var findings []string
	for name, s := range project.Services {
		for _, finding := range slices.Concat(checkPorts(s), checkDatabase(name, s), checkOurs(s), checkDaemon(name, s)) {
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
	if want := strings.TrimSuffix(name, "-db") + "-data"; volume.Source != want || volume.Target != "/var/lib/postgresql" {
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
	if len(s.DependsOn) > 1 {
		findings = append(findings, "waits for more than its schema")
	}
	if s.HealthCheck == nil || !slices.Equal(s.HealthCheck.Test, []string{"CMD", name, "healthcheck"}) {
		findings = append(findings, "has no healthcheck of its own")
	}
	if s.Restart != types.RestartPolicyUnlessStopped {
		findings = append(findings, "is not restarted")
	}
	return findings
}
