//go:build ignore

// Command install installs what hosho needs with the machine's package manager, unless it is there: PostgreSQL,
// PgBouncer for the tests that put it before the databases, Prometheus for those of the alert rules, curl for those
// that type what the documentation says, Chromium and npm, which has axe-core, for those that look at the console, or
// RabbitMQ, and Java and Maven, which gets Apache Kafka, for the saga over a broker.
package main

import (
	"context"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"hosho/internal/lab/brokers"
	"hosho/internal/pgembed"
)

// thing is what can be installed: how it is found, and the package of each manager.
type thing struct {
	name     string
	find     func() (string, error)
	packages map[string]string
}

// wanted are all of them, by the targets of make; java and maven have none, and come with kafka.
var wanted = map[string]thing{
	"postgres": {"PostgreSQL", pgembed.Find, map[string]string{
		"apt-get": "postgresql", "dnf": "postgresql-server", "apk": "postgresql", "brew": "postgresql@17",
	}},
	"pgbouncer": {"PgBouncer", pgembed.FindPooler, map[string]string{
		"apt-get": "pgbouncer", "dnf": "pgbouncer", "apk": "pgbouncer", "brew": "pgbouncer",
	}},
	"prometheus": {"Prometheus", findPrometheus, map[string]string{
		"apt-get": "prometheus", "dnf": "golang-github-prometheus", "apk": "prometheus", "brew": "prometheus",
	}},
	"curl": {"curl", findCurl, map[string]string{"apt-get": "curl", "dnf": "curl", "apk": "curl", "brew": "curl"}},
	"chromium": {"Chromium", findChromium, map[string]string{
		"apt-get": "chromium", "dnf": "chromium", "apk": "chromium", "brew": "--cask chromium",
	}},
	"npm": {"npm", found("npm"), map[string]string{
		"apt-get": "npm", "dnf": "nodejs-npm", "apk": "npm", "brew": "node",
	}},
	"rabbitmq": {"RabbitMQ", brokers.FindRabbitMQ, map[string]string{
		"apt-get": "rabbitmq-server", "dnf": "rabbitmq-server", "apk": "rabbitmq-server", "brew": "rabbitmq",
	}},
	"java": {"Java", found("java"), map[string]string{
		"apt-get": "default-jre-headless", "dnf": "java-latest-openjdk-headless", "apk": "openjdk21-jre-headless",
		"brew": "openjdk",
	}},
	"maven": {"Maven", found("mvn"), map[string]string{
		"apt-get": "maven", "dnf": "maven", "apk": "maven", "brew": "maven",
	}},
	"kafka": {"Apache Kafka", brokers.FindKafka, nil}, // no package manager has it
}

// unwanted are services that a package brings and systemd starts, for everybody who reaches the machine.
var unwanted = map[string]string{
	"prometheus": "prometheus.service",
	"rabbitmq":   "rabbitmq-server.service epmd.socket",
}

// findPrometheus returns where promtool is, if the server is there as well.
func findPrometheus() (string, error) {
	if _, err := exec.LookPath("prometheus"); err != nil {
		return "", err
	}
	return exec.LookPath("promtool")
}

// findCurl returns where a curl is that knows --json.
func findCurl() (string, error) {
	if err := exec.Command("curl", "--disable", "--json", "{}", "--version").Run(); err != nil {
		return "", fmt.Errorf("want curl 7.82 or newer: %w", err)
	}
	return exec.LookPath("curl")
}

// findChromium returns where a Chromium is; internal/browsertest looks for the same names.
func findChromium() (path string, err error) {
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
	} {
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// found returns how a program is found by its name alone.
func found(program string) func() (string, error) {
	return func() (string, error) { return exec.LookPath(program) }
}

// managers are the package managers known, and what each is asked before the package's name. Debian starts the servers
// that it installs: RUNLEVEL has it not do so where there is no systemd.
var managers = []struct {
	program  string
	asRoot   bool
	commands []string
}{
	{"apt-get", true, []string{
		"apt-get update -qq",
		"env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends ",
	}},
	{"dnf", true, []string{"dnf install -y "}},
	{"apk", true, []string{"apk add "}},
	{"brew", false, []string{"brew install "}},
}

func main() {
	target := "postgres"
	if len(os.Args) > 1 {
		target = os.Args[1]
	}
	log.SetFlags(0)
	log.SetPrefix("make " + target + ": ") // also about what the target needs
	if err := provide(target); err != nil {
		log.Fatal(err)
	}
}

// provide has something be there.
func provide(name string) error {
	what, known := wanted[name]
	if !known {
		return fmt.Errorf("got %q, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(wanted)), ", "))
	}
	if _, err := what.find(); err == nil {
		return nil
	}
	log.Printf("no %s that hosho can use is on this machine", what.name)
	if err := get(name); err != nil {
		return err
	}
	found, err := what.find()
	if err != nil {
		return fmt.Errorf("what was installed is not enough: %w", err)
	}
	log.Printf("installed, %s", found)
	return nil
}

func get(name string) error {
	if name != "kafka" {
		return install(name, wanted[name].packages)
	}
	for _, needed := range []string{"java", "maven"} {
		if err := provide(needed); err != nil {
			return err
		}
	}
	log.Print("fetching it from Maven Central, 43 MB, into this user's cache")
	_, err := brokers.FetchKafka(context.Background())
	return err
}

func install(name string, packages map[string]string) error {
	for _, m := range managers {
		if _, err := exec.LookPath(m.program); err != nil {
			continue
		}
		for _, command := range m.commands {
			if strings.HasSuffix(command, " ") {
				command += packages[m.program]
			}
			if err := run(command, m.asRoot); err != nil {
				return err
			}
		}
		if _, err := os.Stat("/run/systemd/system"); err != nil || unwanted[name] == "" || m.program != "apt-get" {
			return nil
		}
		return run("systemctl disable --now "+unwanted[name], m.asRoot)
	}
	return fmt.Errorf("found none of the package managers apt-get, dnf, apk and brew")
}

func run(command string, asRoot bool) error {
	if asRoot && os.Getuid() != 0 {
		command = "sudo " + command
	}
	log.Print(command)
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stderr, os.Stderr // sudo may ask for a password
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
