package door

import (
	"net/http"
	"slices"
	"strings"
)

// route is a call as HTTP has it.
type route struct {
	method  string
	verb    string   // after the order's id; empty: none
	one     bool     // it is about one order
	query   []string // the parameters that it takes, by their names in the proto files
	body    bool     // it takes one
	streams bool
	lists   bool
}

// routes are those of proto/http.yaml: a test holds them to it.
var routes = []route{
	{method: http.MethodPost, body: true, query: []string{"wait"}},
	{method: http.MethodGet, lists: true, query: []string{"page_size", "page_token", "customer_id", "status"}},
	{method: http.MethodGet, one: true, query: []string{"customer_id"}},
	{method: http.MethodGet, one: true, verb: "watch", query: []string{"customer_id"}, streams: true},
	{method: http.MethodPost, one: true, verb: "cancel", query: []string{"customer_id"}},
}

const orders = "/v1/orders"

// find returns the route of a request. Its error says what there is instead.
func find(method, path string) (route, error) {
	var others []string
	for _, r := range routes {
		switch {
		case !r.leads(path):
		case r.method == method:
			return r, nil
		default:
			others = append(others, r.method)
		}
	}
	if len(others) > 0 {
		return route{}, &wrongMethod{method, path, others}
	}
	return route{}, &unknownPath{path}
}

// leads reports whether a path is the route's.
func (r route) leads(path string) bool {
	id, one := strings.CutPrefix(path, orders+"/")
	if one != r.one || !one {
		return one == r.one && path == orders
	}
	id, verb, _ := strings.Cut(id, ":")
	return verb == r.verb && id != "" && !strings.Contains(id, "/")
}

// takes reports whether the route takes a query parameter, by its name in the proto files or in JSON.
func (r route) takes(name string) bool { return slices.Contains(r.query, protoName(name)) }

// protoName returns a field's name in the proto files, of that or of the one in JSON.
func protoName(name string) string {
	var out strings.Builder
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			out.WriteByte('_')
			c += 'a' - 'A'
		}
		out.WriteRune(c)
	}
	return out.String()
}
