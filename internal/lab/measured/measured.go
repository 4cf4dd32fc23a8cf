// Package measured holds what daemons tell on /metrics against what the databases hold: I22.
//
// Its promise: the tables are read by other queries than the daemons have, so that a mistake of theirs does not hide
// itself; and a figure that is not what the tables say is told with both. It holds for a system at rest, and for counts
// between two readings of one, where no daemon was killed with work in hand: a count that it had not told died with it.
// A daemon that was started anew in between counts from zero.
//
// A count follows the commit by a moment, and what the database is asked for on a scrape is kept for ten seconds. So
// whoever finds a difference reads again for as long.
package measured

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// System is what is compared: the daemons that live, all of them, and their databases.
type System struct {
	Orders, Payments *pgxpool.Pool
	Daemons          []Daemon
}

// Daemon is one of them.
type Daemon struct {
	Name    string // "relay-2"
	Address string // of its /metrics
}

// Reading is what the daemons told and the tables held, at about one moment.
type Reading struct {
	daemons map[string]told // by name
	counted figures         // what the counts should have added up to, had they been kept since the first row
	held    figures         // what the gauges should say
}

// figures are numbers by the metric's name and its labels, as Prometheus writes them, with the labels sorted.
type figures map[string]float64

// Difference is a figure that is not what the tables say.
type Difference struct {
	Of        string // the daemon, where it is one's own; empty: all that have it, together
	Figure    string // hosho_orders_created_total{result="new"}
	Got, Want float64
}

func (d Difference) String() string {
	of := ""
	if d.Of != "" {
		of = d.Of + ": "
	}
	return fmt.Sprintf("%s%s: got %v, and the tables say %v", of, d.Figure, d.Got, d.Want)
}

// Read reads what each daemon tells and what the tables hold.
func (s System) Read(ctx context.Context) (r Reading, err error) {
	r.daemons = map[string]told{}
	for _, d := range s.Daemons {
		if r.daemons[d.Name], err = d.read(ctx); err != nil {
			return Reading{}, fmt.Errorf("read the metrics of %s: %w", d.Name, err)
		}
	}
	for into, tables := range map[*figures][]table{&r.counted: countedTables, &r.held: heldTables} {
		if *into, err = s.query(ctx, tables); err != nil {
			return Reading{}, fmt.Errorf("read the tables: %w", err)
		}
	}
	return r, nil
}

// since is by how much a daemon's figures have moved. Those of one that was started anew moved from zero.
func (r Reading) since(before Reading, daemon string) figures {
	now, then := r.daemons[daemon], before.daemons[daemon]
	moved := maps.Clone(now.figures)
	if now.started == then.started {
		for name, value := range then.figures {
			moved[name] -= value
		}
	}
	return moved
}

// Since returns by how much a metric has moved since an earlier reading, over all daemons and all labels but those that
// are given, such as `kind="VOID"`. A histogram is named by what of it is meant: with _count or _sum.
func (r Reading) Since(before Reading, metric string, labels ...string) (sum float64) {
	for daemon := range r.daemons {
		sum += r.since(before, daemon).of(metric, labels)
	}
	return sum
}

// Now returns what a metric says, added up as Since does.
func (r Reading) Now(metric string, labels ...string) (sum float64) {
	for _, d := range r.daemons {
		sum += d.figures.of(metric, labels)
	}
	return sum
}

func (f figures) of(metric string, labels []string) (sum float64) {
	for figure, value := range f {
		name, rest, _ := strings.Cut(strings.TrimSuffix(figure, "}"), "{")
		given := strings.Split(rest, ",")
		missing := func(label string) bool { return !slices.Contains(given, label) }
		if name == metric && !slices.ContainsFunc(labels, missing) {
			sum += value
		}
	}
	return sum
}

// Counts returns where what was counted since an earlier reading is not what came into the tables.
func (r Reading) Counts(before Reading) (differences []Difference) {
	got := figures{}
	for daemon := range r.daemons {
		for figure, value := range r.since(before, daemon) {
			got[figure] += value
		}
	}
	want := maps.Clone(r.counted)
	for figure, value := range before.counted {
		want[figure] -= value
	}
	got, want = joined(got, want)
	for _, figure := range compared(countedTables, got, want) {
		if d := (Difference{Figure: figure, Got: got[figure], Want: want[figure]}); d.is() {
			differences = append(differences, d)
		}
	}
	return differences
}

// Gauges returns where what a daemon tells of the present is not what is in the tables.
func (r Reading) Gauges() (differences []Difference) {
	for _, name := range slices.Sorted(maps.Keys(r.daemons)) {
		told := r.daemons[name].figures
		for _, figure := range compared(heldTables, told, r.held) {
			got, tells := told[figure]
			if !tells { // it is another daemon's
				continue
			}
			if d := (Difference{Of: name, Figure: figure, Got: got, Want: r.held[figure]}); d.is() {
				differences = append(differences, d)
			}
		}
	}
	return differences
}

// is reports whether the two differ by more than adding them up in another order does.
func (d Difference) is() bool {
	const least = 1e-3
	return math.Abs(d.Got-d.Want) > least+1e-9*max(math.Abs(d.Got), math.Abs(d.Want))
}

// compared returns the figures that the tables say something of, sorted.
func compared(tables []table, some, others figures) []string {
	all := map[string]bool{}
	for _, f := range []figures{some, others} {
		for figure := range f {
			name, labels, _ := strings.Cut(figure, "{")
			about := func(t table) bool { return t.metric == name && strings.Contains(labels, t.only) }
			if slices.ContainsFunc(tables, about) {
				all[figure] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}
