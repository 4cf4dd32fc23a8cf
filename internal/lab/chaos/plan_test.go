package chaos

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheSameSeedMakesTheSameSchedule(t *testing.T) {
	t.Parallel()
	make := func(seed uint64) []Episode {
		episodes, err := Schedule(Config{Seed: seed, Pace: Production(), Duration: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return episodes
	}
	one, again, other := make(7), make(7), make(8)
	if !reflect.DeepEqual(one, again) {
		t.Error("seed 7 made two schedules")
	}
	if reflect.DeepEqual(one, other) {
		t.Error("seeds 7 and 8 made the same schedule")
	}
}

// Over a long schedule every fault of the mix comes up, they overlap, and no two of an episode have the same target.
func TestTheScheduleMixesEverything(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{}, {TLS: true}, {Transport: "nats"}} {
		mixesEverything(t, c)
	}
}

func mixesEverything(t *testing.T, c Config) {
	t.Helper()
	c.Seed, c.Pace, c.Duration = 1, Production(), 3*time.Hour
	episodes, err := Schedule(c)
	if err != nil {
		t.Fatal(err)
	}
	times, together := map[string]int{}, 0
	for _, e := range episodes {
		taken := map[string]bool{}
		for _, in := range e {
			times[in.Fault]++
			for _, target := range faultNamed(in.Fault).targets {
				if taken[target] {
					t.Errorf("%s: %q is taken twice", e, target)
				}
				taken[target] = true
			}
		}
		if len(e) > 1 && e[0].For > e[1].After {
			together++
		}
		if e[0].After != 0 {
			t.Errorf("%s: nothing happens at first", e)
		}
	}
	for _, f := range faults {
		if want := f.special == "" && f.fits(c); times[f.name] > 0 != want {
			t.Errorf("%s came up %d times, want it in the mix: %t", f.name, times[f.name], want)
		}
	}
	if together < len(episodes)/10 {
		t.Errorf("of %d episodes %d have faults that overlap, want more", len(episodes), together)
	}
}

func TestFaultsAreChosenByName(t *testing.T) {
	t.Parallel()
	c := Config{Seed: 1, Faults: []string{"outage"}, Pace: Production(), Duration: time.Minute}
	episodes, err := Schedule(c)
	if err != nil || len(episodes) != 1 || episodes[0][0].Fault != "outage" || episodes[0][0].For != 2*time.Minute {
		t.Errorf("got %v, %v; want one outage of two minutes", episodes, err)
	}
	c.Length = 5 * time.Second
	if episodes, err := Schedule(c); err != nil || len(episodes) != 12 || episodes[11][0].For != c.Length {
		t.Errorf("got %v, %v; want twelve outages of 5 s", episodes, err)
	}
	c.Faults = []string{"kill-relais"}
	if _, err := Schedule(c); err == nil {
		t.Error("got a schedule of a fault that there is not")
	}
	c.Faults = []string{"expired-certificate"}
	if _, err := Schedule(c); err == nil || !strings.Contains(err.Error(), "--tls") {
		t.Errorf("got %v, want that a fault of certificates needs --tls", err)
	}
	c.Faults = []string{"broker-loss"}
	if _, err := Schedule(c); err == nil || !strings.Contains(err.Error(), "--transport") {
		t.Errorf("got %v, want that a fault of a broker needs --transport", err)
	}
	c.Faults, c.Transport = []string{"wrong-echo"}, "nats"
	if _, err := Schedule(c); err == nil || !strings.Contains(err.Error(), "nobody calls") {
		t.Errorf("got %v, want that a fault of calls is none over a broker", err)
	}
	c.Faults, c.Transport = []string{"expired-certificate"}, ""
	c.TLS = true
	if episodes, err := Schedule(c); err != nil || len(episodes) == 0 {
		t.Errorf("got %v, %v; want expired certificates where there are some", episodes, err)
	}
	names := allNames()
	slices.Sort(names)
	if got := len(slices.Compact(names)); got != len(faults) {
		t.Errorf("got %d names for %d faults, want one each", got, len(faults))
	}
}
