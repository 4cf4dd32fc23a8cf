package composetest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// brokers are the services that carry events, each with the profile of its name.
var brokers = []string{"kafka", "nats", "rabbitmq"}

// versioned is an image of one minor version, whose fixes come by themselves, as a database's do.
var versioned = regexp.MustCompile(`:\d+\.\d+(\.\d+)?(-alpine)?$`)

// checkBroker is for what runs only where the saga is to go over it, and is reached from its network alone: it lets
// everybody in.
func checkBroker(name string, s types.ServiceConfig) []string {
	if !slices.Contains(brokers, name) {
		return nil
	}
	var findings []string
	if !slices.Equal(s.Profiles, []string{name}) {
		findings = append(findings, "runs without being asked to, or under another profile")
	}
	if !versioned.MatchString(s.Image) {
		findings = append(findings, "its image has no version: "+s.Image)
	}
	if len(s.Ports) > 0 {
		findings = append(findings, "can be reached from outside its network")
	}
	if len(s.Volumes) != 1 || s.Volumes[0].Source != name+"-data" {
		findings = append(findings, "its data is not on a volume of its own")
	}
	if s.Restart != types.RestartPolicyUnlessStopped {
		findings = append(findings, "is not restarted")
	}
	return findings
}

// checkTopics is for what makes the topics, under each broker's profile, before the daemons that are over it.
func checkTopics(project *types.Project) []string {
	s := project.Services["broker-setup"]
	profiles := slices.Sorted(slices.Values(s.Profiles))
	if !slices.Equal(profiles, brokers) || !strings.HasPrefix(strings.Join(s.Command, " "), "sagactl broker setup") {
		return []string{"broker-setup: makes no topics, or not on each broker"}
	}
	var findings []string
	for _, daemon := range []string{"paymentd", "relay"} {
		of, waits := project.Services[daemon].DependsOn["broker-setup"]
		if !waits || of.Condition != types.ServiceConditionCompletedSuccessfully {
			findings = append(findings, daemon+": does not wait for the topics")
		}
		if of.Required {
			findings = append(findings, daemon+": wants a broker where nobody asked for one")
		}
	}
	if got := variable(project.Services["relay"], "RELAY_TRANSPORT"); got != "grpc" {
		findings = append(findings, "relay: goes over a broker though nobody asked for one")
	}
	return findings
}
