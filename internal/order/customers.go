package order

import (
	"slices"
	"strings"
)

// Customers are those whose orders somebody may place, see and cancel. The zero value is nobody.
type Customers struct {
	All      bool
	Exact    []string
	Prefixes []string // each ends in a colon: "shop1:" has "shop1:ada", and not "shop10"
}

// Everybody is all customers.
var Everybody = Customers{All: true}

// Include reports whether a customer is among them.
func (c Customers) Include(id string) bool {
	return c.All || slices.Contains(c.Exact, id) ||
		slices.ContainsFunc(c.Prefixes, func(prefix string) bool { return strings.HasPrefix(id, prefix) })
}

// And returns those and the others.
func (c Customers) And(others Customers) Customers {
	return Customers{
		All:      c.All || others.All,
		Exact:    slices.Concat(c.Exact, others.Exact),
		Prefixes: slices.Concat(c.Prefixes, others.Prefixes),
	}
}
