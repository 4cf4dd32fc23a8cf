package console

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// findOrder leads to the page of an order, by its id.
func (c *Console) findOrder(v *visit) error {
	id := strings.TrimSpace(v.URL.Query().Get("id"))
	parsed, err := uuid.Parse(id)
	if err != nil {
		return &problem{http.StatusBadRequest, "problem.id", []any{id}}
	}
	return v.goTo("/orders/" + parsed.String())
}
