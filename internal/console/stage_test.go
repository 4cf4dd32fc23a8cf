package console

import (
	"net/http"
	"strings"
	"testing"
)

// Where there is no stage nobody is led to one, and what would be done on it is refused.
func TestOnlyUpHasAStage(t *testing.T) {
	t.Parallel()
	_, requests := serve(t, Config{Token: aToken})
	for _, r := range requests {
		r.AddCookie(&http.Cookie{Name: "hosho_console_" + r.URL.Port(), Value: aToken})
		response, body := send(t, r)
		if strings.Contains(body, `href="/stage"`) {
			t.Errorf("%s leads to the stage", r.URL.Path)
		}
		isStage := strings.HasPrefix(r.URL.Path, "/stage")
		if isStage && (response.StatusCode != http.StatusNotFound || !strings.Contains(body, "sagactl up")) {
			t.Errorf("%s %s: got %d\n%s\nwant it refused", r.Method, r.URL.Path, response.StatusCode, body)
		}
	}
}

// What the money of a side comes to is a word, a sign and a colour.
func TestASideSaysWhatItsMoneyComesTo(t *testing.T) {
	t.Parallel()
	tests := map[string]Books{
		`state completed">It balances`:        {},
		`state bad">¥9,998 held for no order`: {Held: jpy(10598), Owed: jpy(600)},
		`state pending">2 orders are under`: {
			Held: jpy(1200), Owed: jpy(600), Orders: map[string]int64{"PENDING": 1, "CANCELLING": 1},
		},
		`state bad">¥600 owed that nobody holds`: {Owed: jpy(600)},
		`state bad">$19.99 held for no order`:    {Held: map[string]int64{"USD": 1999}},
	}
	render, err := newRenderer()
	if err != nil {
		t.Fatal(err)
	}
	for want, books := range tests {
		text, err := render.of("en").part("stage", "side", newSide(books))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%+v: got\n%s\nwant %s", books, text, want)
		}
	}
}

func jpy(amount int64) map[string]int64 { return map[string]int64{"JPY": amount} }
