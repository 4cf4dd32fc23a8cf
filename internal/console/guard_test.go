package console

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const aToken = "a-token-of-this-test"

// serve serves a console with no daemons, and returns a request to each of its routes.
func serve(t *testing.T, config Config) (*httptest.Server, []*http.Request) {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	var requests []*http.Request
	for _, r := range append(c.table(), route{"GET /nowhere", nil}) {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{$}", "", "{id}", "0190b6a4-7c5e-7d3a-8f00-0123456789ab", "{name}", "style.css",
			"{", "", "}", "").Replace(path)
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, request)
	}
	return server, requests
}

// send sends a request, and returns the status and the body of the answer, whose headers say what each must.
func send(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body []byte
	if response.Header.Get("Content-Type") != "text/event-stream" { // which does not end
		if body, err = io.ReadAll(response.Body); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s %s: got %s: %q, want %q", r.Method, r.URL.Path, name, got, want)
		}
	}
	return response, string(body)
}

// A name of somebody else's that leads to this machine opens nothing here, whichever way is asked.
func TestAForeignHostIsRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	_, requests := serve(t, Config{Token: aToken, Hosts: []string{"board.example"}})
	for _, r := range requests {
		for host, foreign := range map[string]bool{
			"evil.example": true, "evil.example:8001": true, "localhost.evil.example": true,
			"board.example.": false, "": false,
		} {
			r.Host = host
			response, body := send(t, r)
			if got := response.StatusCode == http.StatusMisdirectedRequest; got != foreign {
				t.Errorf("%s %s of %q: got %d\n%s\nwant it refused: %t", r.Method, r.URL, host,
					response.StatusCode, body, foreign)
			}
		}
	}
}

// A page of another site has the browser of somebody who may act send this.
func TestAnotherSiteIsRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	_, requests := serve(t, Config{Token: aToken})
	for _, r := range requests {
		for _, header := range []string{
			"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example",
		} {
			name, value, _ := strings.Cut(header, ": ")
			r.Header = http.Header{name: {value}}
			r.AddCookie(&http.Cookie{Name: "hosho_console_" + r.URL.Port(), Value: aToken})
			if response, body := send(t, r); response.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s, %s: got %d\n%s\nwant it refused", r.Method, r.URL, header, response.StatusCode, body)
			}
		}
	}
}

// A link on another site may lead a person here.
func TestALinkLeadsHere(t *testing.T) {
	t.Parallel()
	_, requests := serve(t, Config{Token: aToken})
	r := requests[0]
	r.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}}
	if response, body := send(t, r); response.StatusCode != http.StatusOK {
		t.Errorf("got %d\n%s\nwant the page", response.StatusCode, body)
	}
}

// Without the token nobody acts, nor with another one, nor where the console is read-only.
func TestActionsWantTheToken(t *testing.T) {
	t.Parallel()
	for _, config := range []Config{{Token: aToken}, {Token: aToken, ReadOnly: true}, {}} {
		_, requests := serve(t, config)
		for _, r := range requests {
			if r.Method != http.MethodPost {
				continue
			}
			for _, value := range []string{"", "another", aToken} {
				r.Header = http.Header{}
				r.AddCookie(&http.Cookie{Name: "hosho_console_" + r.URL.Port(), Value: value})
				may := value == aToken && config.Token == aToken && !config.ReadOnly
				response, body := send(t, r)
				if got := response.StatusCode != http.StatusForbidden; got != may {
					t.Errorf("%s with %q at %+v: got %d\n%s\nwant it allowed: %t", r.URL, value, config,
						response.StatusCode, body, may)
				}
			}
		}
	}
}

// The token of the URL that was printed does not stay in the address of a page, where others would see it.
func TestTheTokenIsTakenOutOfTheURL(t *testing.T) {
	t.Parallel()
	server, requests := serve(t, Config{Token: aToken})
	r := requests[0]
	r.URL.RawQuery = url.Values{"token": {aToken}, "x": {"1"}}.Encode()
	response, _ := send(t, r)
	if to := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || to != "/?x=1" {
		t.Errorf("got %d to %q, want the page without the token", response.StatusCode, to)
	}
	cookies := response.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("got the cookies %v, want one that no script reads and no other site sends", cookies)
	}
	if want := "hosho_console_" + r.URL.Port(); cookies[0].Name != want {
		t.Errorf("got the cookie %s, want %s", cookies[0].Name, want)
	}
	r.URL.RawQuery = ""
	r.AddCookie(cookies[0])
	if _, body := send(t, r); !strings.Contains(body, "You may act") {
		t.Errorf("got\n%s\nwant a page for somebody who may act", body)
	}
	wrong, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/?token=another", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, _ := send(t, wrong); response.StatusCode != http.StatusForbidden || len(response.Cookies()) > 0 {
		t.Errorf("another token: got %d, %v; want it refused", response.StatusCode, response.Cookies())
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	server, _ := serve(t, Config{})
	for _, tt := range []struct {
		request string
		status  int
		want    string
	}{
		{"GET /nowhere", http.StatusNotFound, "There is no page /nowhere."},
		{"DELETE /orders", http.StatusMethodNotAllowed, "DELETE is not taken at /orders."},
		{"GET /static/console.go", http.StatusNotFound, "There is no page /static/console.go."},
		{"GET /orders?id=%3Cscript%3E", http.StatusBadRequest, "Got &#34;&lt;script&gt;&#34;, which is no order"},
		{"GET /orders?id=+0190B6A4-7C5E-7D3A-8F00-0123456789AB", http.StatusSeeOther, ""},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, body := send(t, r)
		if response.StatusCode != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: got %d\n%s\nwant %d and %q", tt.request, response.StatusCode, body, tt.status, tt.want)
		}
	}
}
