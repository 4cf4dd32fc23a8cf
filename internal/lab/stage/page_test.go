package stage_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hosho/internal/console"
)

// A person without JavaScript presses each kind of button, in a browser that has the token and in one that has not.
func TestTheButtonsOfThePage(t *testing.T) {
	t.Parallel()
	h := open(t, false, time.Hour)
	const token = "a-token-of-this-test"
	pages, err := console.New(console.Config{Token: token, Stage: h.stage})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	person := browser{t, server.URL, "en", newClient(t)}
	if got := person.get("/stage?token=" + token); !strings.Contains(got, "<button") {
		t.Errorf("got\n%s\nwant buttons", got)
	}
	stranger := browser{t, server.URL, "en", newClient(t)}
	if got := stranger.get("/stage"); strings.Contains(got, `method="post"`) || !strings.Contains(got, "Money held") {
		t.Errorf("got\n%s\nwant the books, and no button", got)
	}

	placed := person.post("/stage/order", "amount", "600", http.StatusOK)
	link := regexp.MustCompile(`href="/orders/([0-9a-f-]{36})"`).FindStringSubmatch(placed)
	if link == nil {
		t.Errorf("got\n%s\nwant a link to the order", placed)
	}
	until(t, "the page shows the order in both worlds", func() bool {
		return strings.Count(person.get("/stage"), `COMPLETED</th><td>1</td>`) == 2
	})
	if got := person.get("/stage"); strings.Count(got, "It balances") != 2 || strings.Count(got, ">¥600<") < 4 {
		t.Errorf("got\n%s\nwant 600 held and owed on both sides", got)
	}

	broken := person.post("/stage/break", "fault", "lose-replies", http.StatusOK)
	if !strings.Contains(broken, "Lose replies: for 3600 s more") {
		t.Errorf("got\n%s\nwant what is broken, and for how long", broken)
	}
	refused := person.post("/stage/break", "fault", "partition", http.StatusConflict)
	if !strings.Contains(refused, "“Partition” would meet “Lose replies”, which ends at ") {
		t.Errorf("got\n%s\nwant why it is refused", refused)
	}
	reader := browser{t, server.URL, "ja", person.client}
	const why = "「すべての場面」は「応答を失う」と重なります"
	if got := reader.post("/stage/play", "", "", http.StatusConflict); !strings.Contains(got, why) {
		t.Errorf("got\n%s\nwant it in Japanese", got)
	}
	person.post("/stage/order", "amount", "601", http.StatusBadRequest)
	person.post("/stage/break", "fault", "<script>", http.StatusBadRequest)
}

// browser is a person's.
type browser struct {
	t        *testing.T
	at, lang string
	client   *http.Client
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func (b browser) get(path string) string { return b.send(http.MethodGet, path, nil, http.StatusOK) }

// post sends a form with one field, and returns the page that this leads to.
func (b browser) post(path, field, value string, status int) string {
	return b.send(http.MethodPost, path, url.Values{field: {value}}, status)
}

func (b browser) send(method, path string, form url.Values, status int) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", b.lang)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if response.StatusCode != status {
		b.t.Errorf("%s %s %v: got %d\n%s\nwant %d", method, path, form, response.StatusCode, body, status)
	}
	return string(body)
}
