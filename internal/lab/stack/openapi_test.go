package stack_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"hosho/internal/lab/stack"
	"hosho/internal/slow"
)

// documented are the calls of the OpenAPI document, by path and method, as far as examples go.
type documented struct {
	Paths map[string]map[string]struct {
		OperationID string
		Responses   map[string]struct {
			Examples map[string]json.RawMessage
			Request  *exampleRequest `json:"x-request"`
		}
	}
}

// exampleRequest is what is answered with an example.
type exampleRequest struct {
	Order   bool // it is about the order of the first example; an unknown one otherwise
	Path    map[string]string
	Query   string
	Headers map[string]string
	Body    json.RawMessage
}

// example is one answer that is documented.
type example struct {
	name, method, path, code, kind, want string
	request                              *exampleRequest
}

// Each example of the OpenAPI document is what its request is answered by a real system: the first one places the order
// that others are about.
func TestTheExamplesOfTheDocumentAreAnswered(t *testing.T) {
	t.Parallel()
	slow.Long(t, "runs the whole system as processes")
	s := start(t, bin, 1, func(c *stack.Config) { c.HTTP = true })
	order := ""
	for _, e := range examples(t) {
		t.Run(e.name, func(t *testing.T) {
			r := e.ask(t, "http://"+s.Orderd.HTTPAddress, order)
			reply, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Body.Close()
			text, err := io.ReadAll(reply.Body)
			if err != nil {
				t.Fatal(err)
			}
			if order == "" {
				order = uuids.FindString(string(text))
			}
			if got := strconv.Itoa(reply.StatusCode); got != e.code || reply.Header.Get("Content-Type") != e.kind {
				t.Errorf("got %s, %s, want %s, %s", got, reply.Header.Get("Content-Type"), e.code, e.kind)
			}
			if diff := gocmp.Diff(plain(t, e.want), plain(t, string(text))); diff != "" {
				t.Errorf("(-example +answer):\n%s", diff)
			}
		})
	}
	s.agree(t, true)
}

// examples are those of the document, in the order in which they can be asked for. Every code has one but default,
// which is what is not expected.
func examples(t *testing.T) (all []example) {
	t.Helper()
	text, err := os.ReadFile("../../../orderd/internal/door/openapi/openapi.swagger.json")
	if err != nil {
		t.Fatal(err)
	}
	var d documented
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for path, methods := range d.Paths {
		for method, call := range methods {
			for code, response := range call.Responses {
				if code == "default" {
					continue
				}
				if len(response.Examples) != 1 || response.Request == nil {
					t.Errorf("%s, %s: got %d examples, request %v; want one, and what it answers", call.OperationID,
						code, len(response.Examples), response.Request)
					continue
				}
				e := example{
					name: call.OperationID + " " + code, method: strings.ToUpper(method), path: path, code: code,
					request: response.Request,
				}
				for kind, want := range response.Examples {
					e.kind, e.want = kind, lines(t, want)
				}
				all = append(all, e)
			}
		}
	}
	first := func(e example) bool { return e.name == "CreateOrder 200" }
	slices.SortFunc(all, func(a, b example) int {
		switch {
		case first(a) == first(b):
			return cmp.Compare(a.name, b.name)
		case first(a):
			return -1
		}
		return 1
	})
	return all
}

// lines are the text that an example stands for: one that is no JSON is in a string.
func lines(t *testing.T, example json.RawMessage) string {
	t.Helper()
	if !bytes.HasPrefix(example, []byte(`"`)) {
		return string(example)
	}
	var text string
	if err := json.Unmarshal(example, &text); err != nil {
		t.Fatal(err)
	}
	return text
}

const unknownOrder = "0198f6a4-8d02-7c3e-9f0b-2f1b6f0c9a11"

// ask makes the request of an example.
func (e example) ask(t *testing.T, base, order string) *http.Request {
	t.Helper()
	path := maps.Clone(e.request.Path)
	if path == nil {
		path = map[string]string{"orderId": unknownOrder}
	}
	if e.request.Order {
		path["orderId"] = order
	}
	url := base + e.path + "?" + e.request.Query
	for name, value := range path {
		url = strings.ReplaceAll(url, "{"+name+"}", value)
	}
	r, err := http.NewRequestWithContext(t.Context(), e.method, url, bytes.NewReader(e.request.Body))
	if err != nil {
		t.Fatal(err)
	}
	if e.request.Body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range e.request.Headers {
		r.Header.Set(name, value)
	}
	return r
}

var (
	uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
)

// plain are the messages of an answer, whose ids and times are any.
func plain(t *testing.T, text string) (messages []any) {
	t.Helper()
	text = times.ReplaceAllLiteralString(uuids.ReplaceAllLiteralString(text, "an id"), "a time")
	for all := json.NewDecoder(strings.NewReader(text)); all.More(); {
		var message any
		if err := all.Decode(&message); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		messages = append(messages, message)
	}
	return messages
}
