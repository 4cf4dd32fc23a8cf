package alerttest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// dashboard is what is looked at of Grafana's.
type dashboard struct {
	UID        string
	Title      string
	Templating struct {
		List []struct {
			Name, Type string
			Datasource source
		}
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
	}
}

type source struct{ Type, UID string }

// chosen is the data source that whoever looks has chosen.
var chosen = source{"prometheus", "${datasource}"}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "observe/grafana/dashboards/hosho.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || len(d.Panels) == 0 {
		t.Fatalf("got the uid %q, the title %q, %d panels", d.UID, d.Title, len(d.Panels))
	}
	var rows []string
	seen := map[int]string{}
	for _, p := range d.Panels {
		if seen[p.ID] != "" || p.ID == 0 || p.Title == "" {
			t.Errorf("the panel %q has the id %d, as %q has", p.Title, p.ID, seen[p.ID])
		}
		seen[p.ID] = p.Title
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		checkPanel(t, p)
	}
	want := []string{"Promise", "Front door", "Outbox", "Deliveries", "Money", "Databases", "Processes"}
	if !slices.Equal(rows, want) {
		t.Errorf("got the rows %q, want %q", rows, want)
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" && v.Datasource != chosen {
			t.Errorf("the variable %s asks %v, want %v", v.Name, v.Datasource, chosen)
		}
	}
}

func checkPanel(t *testing.T, p panel) {
	t.Helper()
	if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
		t.Errorf("%s: got the description %q, the unit %q, %d targets; want all three",
			p.Title, p.Description, p.FieldConfig.Defaults.Unit, len(p.Targets))
	}
	if p.Datasource != chosen {
		t.Errorf("%s asks %v, want %v", p.Title, p.Datasource, chosen)
	}
	var letters []string
	for _, target := range p.Targets {
		if target.Datasource != chosen || slices.Contains(letters, target.RefID) || target.RefID == "" {
			t.Errorf("%s: the target %q asks %v; want a letter of its own and %v",
				p.Title, target.RefID, target.Datasource, chosen)
		}
		letters = append(letters, target.RefID)
		nodes(t, asAsked(target.Expr))
	}
}

// TestNoTwoPanelsLieOverEachOther also finds one that is wider than the page.
func TestNoTwoPanelsLieOverEachOther(t *testing.T) {
	panels := readDashboard(t).Panels
	for i, a := range panels {
		if a.GridPos.X+a.GridPos.W > 24 {
			t.Errorf("%s ends at column %d, want 24 at most", a.Title, a.GridPos.X+a.GridPos.W)
		}
		for _, b := range panels[:i] {
			p, q := a.GridPos, b.GridPos
			if p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H {
				t.Errorf("%s and %s lie over each other", a.Title, b.Title)
			}
		}
	}
}

// asAsked is an expression as Grafana sends it.
func asAsked(expression string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$job", ".+").Replace(expression)
}
