package connect_test

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"hosho/internal/authority"
	"hosho/internal/broker"
	"hosho/internal/broker/connect"
	"hosho/internal/lab/brokers"
	"hosho/internal/lab/brokers/brokertest"
	"hosho/internal/slow"
	"hosho/internal/wait"
)

// rightsInDocs returns the part of NATS' file that the documentation has, with one password for all.
func rightsInDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../doc/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```conf\n")
	rights, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		t.Fatal("doc/security.md has no rights for NATS")
	}
	return regexp.MustCompile(`\$[A-Z]+_PASSWORD`).ReplaceAllString(rights, password)
}

// permissionsInDocs returns RabbitMQ's definitions of the logins that the documentation has, with one password for all.
func permissionsInDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../doc/security.md")
	if err != nil {
		t.Fatal(err)
	}
	type user struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Tags     string `json:"tags"`
	}
	type permission struct {
		User      string `json:"user"`
		VHost     string `json:"vhost"`
		Configure string `json:"configure"`
		Write     string `json:"write"`
		Read      string `json:"read"`
	}
	var users []user
	var permissions []permission
	row := regexp.MustCompile("(?m)^\\| (\\w+) \\| `(\\^.*?)` \\| `(.*?)` \\| `(.*?)` \\|$")
	for _, r := range row.FindAllStringSubmatch(string(text), -1) {
		for i := range r {
			r[i] = strings.ReplaceAll(r[i], `\|`, "|") // as a table wants it
		}
		users = append(users, user{Name: r[1], Password: password})
		permissions = append(permissions, permission{r[1], "/", r[2], r[3], r[4]})
	}
	definitions, err := json.Marshal(map[string]any{
		"vhosts": []map[string]string{{"name": "/"}}, "users": users, "permissions": permissions,
	})
	if err != nil || len(users) != 3 {
		t.Fatalf("got the users %v, %v, want setup, relay and paymentd", users, err)
	}
	return string(definitions)
}

// guardBy starts a broker whose users have such rights.
func guardBy(t *testing.T, kind, rights string) guarded {
	t.Helper()
	g := guarded{kind: kind, certs: t.TempDir()}
	if _, err := authority.Fill(g.certs, []string{"broker"}, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	g.url = brokertest.StartSecured(t, g.kind, &brokers.Secured{
		Cert: g.file("broker", authority.CertFile), Key: g.file("broker", authority.KeyFile),
		CA: g.file(authority.CAFile), Rights: rights,
	}).URL()
	return g
}

// as is a corner of one login, on the topics that the rights are about.
func (g guarded) as(t *testing.T, login string) *corner {
	t.Helper()
	c := &corner{prefix: "hosho", flags: connect.Flags{
		BrokerURL:    strings.Replace(g.url, "://", "://"+login+":"+password+"@", 1),
		BrokerPrefix: "hosho", BrokerCA: g.file(authority.CAFile),
	}}
	c.Broker = c.connect(t)
	var err error
	if c.plan, err = broker.PlanOf(c.prefix, broker.MinRetention, 1); err != nil {
		t.Fatal(err)
	}
	return c
}

// sides are who says what to whom.
var sides = []struct{ login, says, hears string }{
	{broker.Relay, ".orders", ".payments"},
	{broker.Paymentd, ".payments", ".orders"},
}

func TestALoginWithTheRightsOfTheDocsDoesItsWork(t *testing.T) {
	t.Parallel()
	brokertest.Each(t, func(t *testing.T, kind string) {
		switch kind {
		case brokers.NATS:
			does(t, guardBy(t, kind, rightsInDocs(t)))
		case brokers.RabbitMQ:
			does(t, guardBy(t, kind, permissionsInDocs(t)))
		default:
			t.Skip("whose rights the documentation does not have")
		}
	})
}

// does has each login of a broker do its work, and nobody say what is another's.
func does(t *testing.T, g guarded) {
	t.Helper()
	setup := g.as(t, "setup")
	for range 2 { // to make them, and to change them
		if _, err := setup.Declare(bound(t), setup.plan); err != nil {
			t.Fatal(err)
		}
	}
	heard := map[string]broker.Subscription{}
	for _, side := range sides {
		c := g.as(t, side.login)
		if _, err := c.Check(bound(t), c.plan); err != nil {
			t.Errorf("%s: %v", side.login, err)
		}
		said, dead := c.events(1)[0], c.events(1)[0]
		said.Topic, dead.Topic, dead.Reason = c.prefix+side.says, broker.DeadLetters(c.prefix+side.hears), "unreadable"
		c.publish(t, said, dead)
		foreign := c.events(1)[0]
		foreign.Topic = c.prefix + side.hears
		ctx, cancel := context.WithTimeout(bound(t), time.Second)
		err := c.Publish(ctx, []broker.Event{foreign})[0]
		cancel()
		if err == nil || !strings.Contains(err.Error(), "does not let this user: doc/security.md says what it may") {
			t.Errorf("%s says what is another's: got %v, want an error about its rights", side.login, err)
		}
		heard[side.login] = c.Subscribe(c.prefix+side.hears, side.login)
	}
	for _, side := range sides {
		takeAll(t, heard[side.login], 1)
	}
}

// Whatever right is missing, who does a relay's work is told that it is one, and which.
func TestARightThatIsMissingOnNATSIsNamed(t *testing.T) {
	t.Parallel()
	slow.Test(t, "waits for what is not answered")
	whole := rightsInDocs(t)
	_, own, _ := strings.Cut(whole, "{ user: relay")
	own, _, _ = strings.Cut(own, "{ user: paymentd")
	rights := regexp.MustCompile(`"([$_a-zA-Z].*?)"`).FindAllStringSubmatch(own, -1)
	if len(rights) < 7 {
		t.Fatalf("got the rights %v of the relay, want some more", rights)
	}
	for _, right := range rights {
		t.Run(right[1], func(t *testing.T) {
			t.Parallel()
			without := strings.Replace(own, right[0], `"nothing"`, 1)
			g := guardBy(t, brokers.NATS, strings.Replace(whole, own, without, 1))
			setup := g.as(t, "setup")
			if _, err := setup.Declare(bound(t), setup.plan); err != nil {
				t.Fatal(err)
			}
			said := setup.events(1)[0]
			said.Topic = broker.Payments(setup.prefix)
			g.as(t, broker.Paymentd).publish(t, said)
			c := g.as(t, broker.Relay)
			for ctx := bound(t); ; {
				err := c.relays(ctx)
				if err != nil && strings.Contains(err.Error(), "does not let this user: doc/security.md says what") &&
					strings.Contains(err.Error(), strings.TrimRight(right[1], ".>*")) {
					return
				}
				if !wait.For(ctx, broker.KeepFor) {
					t.Fatalf("got %v, want an error that names %s", err, right[1])
				}
			}
		})
	}
}

// relays does once what a relay does.
func (c *corner) relays(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := c.Check(ctx, c.plan); err != nil {
		return err
	}
	events := c.events(2)
	events[1].Topic, events[1].Reason = broker.DeadLetters(broker.Payments(c.prefix)), "unreadable"
	for _, err := range c.Publish(ctx, events) {
		if err != nil {
			return err
		}
	}
	s := c.Subscribe(broker.Payments(c.prefix), broker.Relay)
	defer s.Close()
	for {
		batch, err := s.Fetch(ctx, 1)
		if err != nil {
			return err
		}
		batch.Done(each(batch, true))
	}
}
