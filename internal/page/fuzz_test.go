package page_test

import (
	"testing"

	"github.com/google/uuid"

	"hosho/internal/page"
)

// Whatever is read as a token is one that this package made for that list.
func FuzzRead(f *testing.F) {
	last := page.Position(uuid.Max)
	f.Add(page.Token(last, "orders", "alice"), "orders", "alice")
	f.Add(page.Token(last, "orders", "alice"), "order", "salice")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, token, name, filter string) {
		last, err := page.Read(token, name, filter)
		switch {
		case err == nil && last == nil:
			if token != "" {
				t.Errorf("%q was read as the first page", token)
			}
		case err == nil:
			if want := page.Token(*last, name, filter); token != want {
				t.Errorf("%q was read as %v of %q and %q, whose token is %q", token, last, name, filter, want)
			}
		}
	})
}
