package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"hosho/internal/story"
	"hosho/internal/terminal"
	"hosho/internal/wait"
)

type systemStatus struct {
	orderd
	paymentd
	relay
	Watch bool `help:"Look again each second, until Ctrl-C."`
	JSON  bool `help:"Print one JSON object each time."`
}

// AfterApply is called by kong.
func (s *systemStatus) AfterApply(c *certificate) error {
	return errors.Join(s.orderd.AfterApply(c), s.paymentd.AfterApply(c), s.relay.AfterApply(c))
}

// Validate is called by kong.
func (s *systemStatus) Validate() error {
	return errors.Join(s.orderd.Validate(), s.paymentd.Validate(), s.relay.Validate())
}

const watchInterval = time.Second

// Run says how the system does. It returns errDiffers when a daemon is not ready, a relay holds commands back, or
// something needs a person.
func (s *systemStatus) Run(ctx context.Context, screen *terminal.Terminal) error {
	daemons, err := s.daemons(ctx)
	if err != nil {
		return err
	}
	for {
		state := observe(ctx, daemons)
		if ctx.Err() != nil { // what it failed of is no state
			return ctx.Err()
		}
		if err := s.show(screen, state); err != nil {
			return err
		}
		if !s.Watch && !state.OK {
			return errDiffers
		}
		if !s.Watch {
			return nil
		}
		if !wait.For(ctx, watchInterval) {
			return ctx.Err()
		}
	}
}

// daemons connects to all that are to be asked.
func (s *systemStatus) daemons(ctx context.Context) ([]observed, error) {
	daemons := []observed{
		{service: story.Orderd, address: s.Orderd, as: s.orderd.as()},
		{service: story.Paymentd, address: s.Paymentd, as: s.paymentd.as()},
	}
	for _, named := range s.Relay {
		for _, address := range lookUp(net.DefaultResolver.LookupNetIP).each(ctx, named) {
			daemons = append(daemons, observed{service: story.Relay, address: address, as: s.relay.as()})
		}
	}
	for i, d := range daemons {
		conn, err := reach(d.service, d.address, d.as)
		if err != nil {
			return nil, err
		}
		daemons[i].conn = conn
	}
	return daemons, nil
}

func (s *systemStatus) show(screen *terminal.Terminal, state systemState) error {
	if s.JSON {
		return json.NewEncoder(screen).Encode(state)
	}
	p := statusPrinter{paint: screen.Paint}
	p.daemons(state.Daemons)
	p.backlog(state.Backlog)
	p.verdict(state)
	if s.Watch {
		screen.Page(append(p.lines, "", time.Now().Format(time.DateTime+" MST")))
		return nil
	}
	for _, line := range p.lines {
		screen.Line("%s", line)
	}
	return nil
}

// statusPrinter makes the lines that tell a state.
type statusPrinter struct {
	paint func(terminal.Style, string) string
	lines []string
}

func (p *statusPrinter) add(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (p *statusPrinter) head(text string) { p.add("%s", p.paint(terminal.Bold, text)) }

func (p *statusPrinter) daemons(states []daemonState) {
	const row = "%-9s  %-21s  %s  %s"
	p.head(fmt.Sprintf(row, "DAEMON", "ADDRESS", fmt.Sprintf("%-9s", "STATE"), "VERSION"))
	for _, d := range states {
		state, rest := p.paint(terminal.Green, fmt.Sprintf("%-9s", "ready")), d.Version
		if !d.Ready {
			state, rest = p.paint(terminal.Red, "NOT READY"), strings.TrimSpace(d.Version+"  "+d.Why)
		}
		if d.Process != "" {
			rest += "  " + p.paint(terminal.Dim, d.Process)
		}
		if d.Way.overBroker() {
			rest += "  " + p.paint(terminal.Dim, "over "+d.Way.Transport)
		}
		p.add(row, d.Service, d.Address, state, rest)
	}
}

func (p *statusPrinter) backlog(kinds []kindState) {
	if len(kinds) == 0 {
		return
	}
	const row = "%-9s %8v %8v %8v  %-10s  %s"
	p.add("")
	p.head(fmt.Sprintf(row, "BACKLOG", "DUE", "WAITING", "PARKED", "OLDEST", "BREAKER"))
	for _, k := range kinds {
		oldest, breaker := "-", "closed"
		if k.Oldest > 0 {
			oldest = k.Oldest.String()
		}
		if k.heldBack() {
			breaker = p.paint(terminal.Yellow, "open at "+strings.Join(k.Open, ", "))
		}
		p.add(row, k.Kind, k.Due, k.Waiting, k.Parked, oldest, breaker)
	}
}

// verdict says what is not well, or that all is.
func (p *statusPrinter) verdict(s systemState) {
	p.add("")
	if s.OK {
		p.add("%s", p.paint(terminal.Green, "Every daemon is ready, and nothing needs a person."))
		return
	}
	switch {
	case !slices.ContainsFunc(s.Daemons, daemonState.spoke):
		p.add("%s", p.paint(terminal.Red, "Nobody is there. \"sagactl up\" runs a system on this machine."))
	case slices.ContainsFunc(s.Daemons, daemonState.notReady):
		p.add("%s", p.paint(terminal.Red, "Not every daemon is ready."))
	}
	for _, d := range s.Daemons {
		for _, wrong := range d.misleading() {
			text := fmt.Sprintf("%s at %s: %s", d.Service, d.Address, wrong)
			p.add("%s", p.paint(terminal.Red, strings.ToUpper(text[:1])+text[1:]))
		}
	}
	for _, k := range s.Backlog {
		if k.heldBack() {
			who := "paymentd is away, or refuses the relay"
			if slices.ContainsFunc(s.Daemons, func(d daemonState) bool {
				return d.Way.overBroker() && slices.Contains(k.Open, d.Process) // others may call at the same time
			}) {
				who = "the broker is away, or takes nothing"
			}
			p.add("%s", p.paint(terminal.Red, fmt.Sprintf("Each %s waits at relay %s: %s. The relay's log says why.",
				k.Kind, strings.Join(k.Open, ", "), who)))
		}
	}
	if len(s.Persons) > 0 {
		p.add("%s", p.paint(terminal.Red, "Commands need a person: "+counts(s)+". sagactl parked lists them."))
	}
}

// counts is how many commands need a person, by why.
func counts(s systemState) string {
	var texts []string
	for _, why := range slices.Sorted(maps.Keys(s.Persons)) {
		texts = append(texts, fmt.Sprintf("%d %s", s.Persons[why], why))
	}
	if s.More {
		texts = append(texts, "and more")
	}
	return strings.Join(texts, ", ")
}
