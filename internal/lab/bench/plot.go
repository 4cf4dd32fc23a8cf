package bench

import (
	"fmt"
	"html/template"
	"io"
	"math"
)

// The plots: four of them, two by two, in points.
const (
	plotWidth, plotHeight = 460, 300
	marginLeft, marginTop = 64, 40
	marginRight           = 16
	marginBottom          = 48
)

// series is a line in a plot.
type series struct {
	Name, Color string
	points      []point
	Path        string // what SVG is to draw
	Dots        []point
}

type point struct{ X, Y float64 }

// plot is one of them, ready to be drawn.
type plot struct {
	Left, Top              int
	Title, Across          string
	Series                 []series
	XTicks, YTicks         []label
	X0, Y0, X1, Y1, Middle float64
}

type label struct {
	At   float64
	Text string
}

var (
	blue   = "#1f6feb"
	orange = "#d4700a"
	red    = "#c0262d"
)

// WritePlots draws throughput and latency against the number of clients and against the rate that is offered, as far as
// they were measured.
func (r *Result) WritePlots(w io.Writer) error {
	byClients := func(l Load) float64 { return float64(l.Clients) }
	byRate := func(l Load) float64 { return l.Offered }
	plots := []plot{
		throughput("sagas/s by clients", "clients", r.byClients, byClients, true),
		throughput("sagas/s by the offered rate", "orders/s offered", r.byRate, byRate, false),
		latency("created to settled by clients, ms", "clients", r.byClients, byClients, true),
		latency("created to settled by the offered rate, ms", "orders/s offered", r.byRate, byRate, false),
	}
	for i := range plots {
		plots[i].Left, plots[i].Top = i%2*plotWidth, i/2*plotHeight
	}
	return drawing.Execute(w, map[string]any{
		"Width": 2 * plotWidth, "Height": 2*plotHeight + 24, "Plots": plots, "Foot": 2*plotHeight + 14,
		"Under": fmt.Sprintf("%s, %d relays, pgbench %.0f/s, PostgreSQL %s, %d cores; dashed: p99", r.Mode, r.Relays,
			r.PgbenchTPS, r.Postgres["server_version"], r.Machine.Cores),
	})
}

func throughput(title, across string, loads []Load, x func(Load) float64, log bool) plot {
	s := series{Name: "sagas/s", Color: blue}
	for _, l := range loads {
		s.points = append(s.points, point{x(l), l.SagasPerSecond})
	}
	return draw(title, across, []series{s}, log, false)
}

func latency(title, across string, loads []Load, x func(Load) float64, log bool) plot {
	p50, p99 := series{Name: "p50", Color: orange}, series{Name: "p99", Color: red}
	for _, l := range loads {
		if of := l.LatencyMS.Settled; of != nil {
			p50.points = append(p50.points, point{x(l), of.P50})
			p99.points = append(p99.points, point{x(l), of.P99})
		}
	}
	return draw(title, across, []series{p50, p99}, log, true)
}

// draw works out where everything is.
func draw(title, across string, all []series, logX, logY bool) plot {
	p := plot{
		Title: title, Across: across, X0: marginLeft, Y0: plotHeight - marginBottom, X1: plotWidth - marginRight,
		Y1: marginTop, Middle: plotWidth / 2,
	}
	var xs, ys []float64
	for _, s := range all {
		for _, at := range s.points {
			xs, ys = append(xs, at.X), append(ys, at.Y)
		}
	}
	across1, up := scaleOf(xs, p.X0, p.X1, logX), scaleOf(ys, p.Y0, p.Y1, logY)
	p.XTicks, p.YTicks = across1.ticks(), up.ticks()
	for _, s := range all {
		for i, at := range s.points {
			dot := point{across1.at(at.X), up.at(at.Y)}
			verb := "L"
			if i == 0 {
				verb = "M"
			}
			s.Path += fmt.Sprintf("%s%.1f %.1f", verb, dot.X, dot.Y)
			s.Dots = append(s.Dots, dot)
		}
		p.Series = append(p.Series, s)
	}
	return p
}

// scale leads from values to places.
type scale struct {
	least, most, from, to float64
	log                   bool
}

// scaleOf takes in all values; a linear one begins at 0.
func scaleOf(values []float64, from, to float64, log bool) scale {
	s := scale{from: from, to: to, log: log}
	for _, v := range values {
		if log && v > 0 && (s.least == 0 || v < s.least) {
			s.least = v
		}
		s.most = max(s.most, v)
	}
	if log {
		s.least = math.Pow(10, math.Floor(math.Log10(max(s.least, 0.001))))
	}
	if s.most <= s.least {
		s.most = max(10*s.least, 1)
	}
	return s
}

func (s scale) at(v float64) float64 {
	share := (v - s.least) / (s.most - s.least)
	if s.log {
		share = math.Log(max(v, s.least)/s.least) / math.Log(s.most/s.least)
	}
	return s.from + share*(s.to-s.from)
}

// ticks returns round values with their places.
func (s scale) ticks() []label {
	var all []label
	if s.log {
		for v := s.least; v <= s.most*1.0001; v *= 10 {
			all = append(all, label{s.at(v), fmt.Sprintf("%g", v)})
		}
		return all
	}
	step := math.Pow(10, math.Floor(math.Log10(s.most)))
	for _, part := range []float64{0.5, 0.2} {
		if s.most/step < 4 {
			step *= part
		}
	}
	for v := 0.0; v <= s.most; v += step {
		all = append(all, label{s.at(v), fmt.Sprintf("%g", math.Round(v*1000)/1000)})
	}
	return all
}

var drawing = template.Must(template.New("plots").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" ` +
	`height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
{{range .Plots}}{{$p := .}}<g transform="translate({{.Left}} {{.Top}})">
<text x="{{.Middle}}" y="22" text-anchor="middle" font-size="13">{{.Title}}</text>
{{range .YTicks}}<path d="M{{$p.X0}} {{.At}}H{{$p.X1}}" stroke="#dddddd"/>` +
	`<text x="{{$p.X0}}" dx="-6" y="{{.At}}" dy="4" text-anchor="end">{{.Text}}</text>
{{end}}{{range .XTicks}}<path d="M{{.At}} {{$p.Y0}}v4" stroke="#333333"/>` +
	`<text x="{{.At}}" y="{{$p.Y0}}" dy="17" text-anchor="middle">{{.Text}}</text>
{{end}}<path d="M{{.X0}} {{.Y1}}V{{.Y0}}H{{.X1}}" fill="none" stroke="#333333"/>
<text x="{{.Middle}}" y="{{.Y0}}" dy="35" text-anchor="middle">{{.Across}}</text>
{{range .Series}}{{$s := .}}<path d="{{.Path}}" fill="none" stroke="{{.Color}}" stroke-width="2"` +
	`{{if eq .Name "p99"}} stroke-dasharray="5 3"{{end}}/>
{{range .Dots}}<circle cx="{{.X}}" cy="{{.Y}}" r="3" fill="{{$s.Color}}"/>
{{end}}{{end}}</g>
{{end}}<text x="8" y="{{.Foot}}" fill="#555555">{{.Under}}</text>
</svg>
`))
