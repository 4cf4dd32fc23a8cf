package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "hosho/gen/order/v1"
)

// asked is a request that is a call.
type asked struct {
	route   route
	request *http.Request        // with all that the call takes, and nothing else
	wait    *durationpb.Duration // of the query; nil: none
}

// idempotencyKey is the header in which clients of HTTP name a request that they repeat
// (draft-ietf-httpapi-idempotency-key-header).
const idempotencyKey = "Idempotency-Key"

// read makes a call of a request. Its error says why that is none.
func (d *door) read(w http.ResponseWriter, r *http.Request) (*asked, error) {
	if err := d.checkOrigin(r); err != nil {
		return nil, err
	}
	route, err := find(r.Method, r.URL.Path)
	if err != nil {
		return nil, err
	}
	if err := checkText("the path", r.URL.Path); err != nil {
		return nil, err
	}
	a := &asked{route: route}
	query, err := a.readQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if near := r.Header.Values("X-" + idempotencyKey); len(near) > 0 {
		return nil, malformed("got the header X-%s, want %[1]s: a repeat would be a second order", idempotencyKey)
	}
	key, err := readKey(r.Header.Values(idempotencyKey))
	if err != nil {
		return nil, err
	}
	body, err := a.readBody(http.MaxBytesReader(w, r.Body, d.config.MaxBody), r)
	if err != nil {
		return nil, err
	}
	with := context.WithValue(r.Context(), saidKey{}, said{key: key, wait: a.wait})
	a.request = (&http.Request{
		Method: r.Method, URL: &url.URL{Path: r.URL.Path, RawQuery: query.Encode()},
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}).WithContext(with)
	if from := r.Header.Values("Traceparent"); len(from) == 1 {
		a.request.Header.Set("Traceparent", from[0])
	}
	return a, nil
}

// readQuery reads the parameters, and returns those that the call itself takes.
func (a *asked) readQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("the query: %v", err)
	}
	times := map[string]int{} // by the names of the proto files
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !a.route.takes(name) {
			return nil, malformed("got the query parameter %s, want %s", quoted(name), a.route.parameters())
		}
		times[protoName(name)] += len(query[name])
		if n := times[protoName(name)]; n > 1 {
			return nil, malformed("got the query parameter %s %d times, want it once", protoName(name), n)
		}
		if err := checkParameter(protoName(name), query.Get(name)); err != nil {
			return nil, err
		}
	}
	if a.route.body {
		if query.Has("wait") {
			if a.wait, err = readWait(query.Get("wait")); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	return query, nil
}

// checkParameter returns an error for a value that says nothing, or nothing that its field can have. That of a first
// page's token is empty: any other one that is empty was to have a value, as a customer's does.
func checkParameter(name, value string) error {
	if err := checkText("the query parameter "+name, value); err != nil {
		return err
	}
	_, word := orderv1.Order_Status_value[value]
	_, number := strconv.ParseInt(value, 10, 32)
	switch {
	case value == "" && name != "page_token":
		return malformed("got the query parameter %s without a value: give it one, or leave it away", name)
	case name == "page_size" && number != nil:
		return malformed("got page_size %s, want a whole number", quoted(value))
	case name == "status" && !word && number != nil:
		return malformed("got status %s, want STATUS_PENDING, STATUS_COMPLETED, STATUS_CANCELLING or STATUS_CANCELLED",
			quoted(value))
	}
	return nil
}

// parameters names those that a route takes, for people.
func (r route) parameters() string {
	names := strings.Join(r.query, ", ")
	if r.body {
		names += "; all else is in the body"
	}
	return names
}

func readWait(text string) (*durationpb.Duration, error) {
	wait := &durationpb.Duration{}
	asJSON := append(append([]byte{'"'}, text...), '"')
	if strings.ContainsAny(text, `"\`) || protojson.Unmarshal(asJSON, wait) != nil {
		return nil, malformed("got wait %s, want seconds, like 8s or 0.5s", quoted(text))
	}
	return wait, nil
}

// readKey reads the header's values. The draft has it in quotes, and most clients without.
func readKey(values []string) (*string, error) {
	switch len(values) {
	case 0:
		return nil, nil
	case 1:
	default:
		return nil, malformed("got the header %s %d times, want it once", idempotencyKey, len(values))
	}
	key := values[0]
	if bare, found := strings.CutPrefix(key, `"`); found && strings.HasSuffix(bare, `"`) {
		key = strings.TrimSuffix(bare, `"`)
	}
	return &key, checkText(idempotencyKey, key)
}

// checkText returns an error for what no message can carry.
func checkText(what, text string) error {
	if !utf8.ValidString(text) {
		return malformed("%s: got %s, want UTF-8", what, quoted(text))
	}
	return nil
}

// readBody reads the body, to its end.
func (a *asked) readBody(body io.Reader, r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &bodyTooLarge{tooLarge.Limit}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, malformed("the body did not come to its end in time")
	case err != nil:
		return nil, malformed("the body ended too early")
	case len(text) == 0:
		return nil, nil
	case !a.route.body:
		return nil, malformed("got a body, and %s takes none here: a call's fields are in its path and its query",
			r.Method)
	}
	return text, checkType(r.Header)
}

// checkType returns an error for a body that is not said to be JSON. What a page of another site can have a browser
// send without asking first is none.
func checkType(h http.Header) error {
	sent := strings.Join(h.Values("Content-Type"), ", ")
	kind, parameters, err := mime.ParseMediaType(sent)
	charset, told := parameters["charset"]
	if err != nil || kind != "application/json" || told && !strings.EqualFold(charset, "utf-8") {
		return &wrongType{"Content-Type", sent, "application/json"}
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &wrongType{"Content-Encoding", encoding, "none"}
	}
	return nil
}
