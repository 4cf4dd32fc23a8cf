package console

import (
	"net/http"
	"strings"
)

// route is a path, and what answers there. What changes something is a POST, and wants the token.
type route struct {
	pattern string // as http.ServeMux has it
	handle  func(*visit) error
}

func (r route) isAction() bool { return strings.HasPrefix(r.pattern, http.MethodPost+" ") }

// table is all that there is.
func (c *Console) table() []route {
	return append([]route{
		{"GET /{$}", c.live},
		{"GET /events", c.events},
		{"POST /anew", c.anew},
		{"GET /orders", c.findOrder},
		{"GET /orders/{id}", c.oneOrder},
		{"GET /person", c.person},
		{"POST /person/retry", c.retry},
		{"POST /person/settle", c.settle},
		{"GET /agree", c.agree},
		{"POST /agree", c.compare},
		{"POST /agree/stop", c.compareNoMore},
		{"GET /static/{name}", c.static},
		{"GET /readyz", c.readyz},
	}, c.stageRoutes()...)
}

// routes answers each request by its path.
func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range c.table() {
		mux.Handle(r.pattern, c.visited(r))
	}
	mux.Handle("/", c.visited(route{"/", c.unknown}))
	return mux
}

// unknown answers where there is no page, or none that takes the method.
func (c *Console) unknown(v *visit) error {
	path := v.Request.URL.Path
	for _, r := range c.table() {
		_, pattern, _ := strings.Cut(r.pattern, " ")
		if pattern == path {
			return &problem{http.StatusMethodNotAllowed, "problem.method", []any{v.Request.Method, path}}
		}
	}
	return &problem{http.StatusNotFound, "problem.path", []any{path}}
}
