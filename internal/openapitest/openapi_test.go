// Package openapitest checks orderd's OpenAPI document by the validator that is made for its version. It is a module of
// its own, so that the project does not depend on what it needs for that.
package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-openapi/loads"
	"github.com/go-openapi/spec"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"
)

func TestTheDocumentIsValid(t *testing.T) {
	t.Parallel()
	checkEdits(t, invalid, []edit{
		{"as it is", "", "", ""},
		{"no title", `"title": "hosho orders"`, `"titel": "hosho orders"`, "info.title in body is required"},
		{"a schema that is none", `definitions/Order"`, `definitions/Ordre"`, "Ordre"},
		{"a parameter that the path has not", `"name": "orderId"`, `"name": "id"`, "orderId"},
	})
}

// Each answer but the unexpected ones has an example, which is of its schema, and so is the body that it answers.
func TestTheExamplesAreWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	checkEdits(t, unlike, []edit{
		{"as it is", "", "", ""},
		{"a call that nobody sums up", `"summary": "Place an order."`, `"summary": ""`, "CreateOrder: no summary"},
		{"a summary that is a story", `"Place an order."`, `"Place an order. It is paid."`, "more than a sentence"},
		{"a number of 64 bits", `"unitPrice": "9999"`, `"unitPrice": 9999`, "unitPrice"},
		{"a status that is none", `"status": "STATUS_CANCELLED"`, `"status": "CANCELLED"`, "order.status"},
		{"a field that nobody knows", `"quantity": 1,`, `"amount": 1, "quantity": 1,`, "amount"},
		{"a time that is none", `"createTime": "2026-11-28T`, `"createTime": "2026-11-28 `, "createTime"},
		{"an id that is none", `"orderId": "0198f6a4-`, `"orderId": "`, "orderId"},
		{"an error of another form", `"code": 5`, `"code": "5"`, "code"},
		{"a line that is none", `\"status\": \"STATUS_CANCELLED\"`, `\"status\": \"DONE\"`, "WatchOrder, 200"},
		{"a code without an example", `"application/json": {`, `"text/plain": {`, "no example"},
		{"a body that is none", `"body": {`, `"body": {"customer_id": "ada",`, "the request of its example"},
	})
}

// edit is made in the document, wherever it can be.
type edit struct{ name, old, new, want string } // want is in one of the findings; empty: there is none

func checkEdits(t *testing.T, check func(*loads.Document) []string, edits []edit) {
	t.Helper()
	text, err := os.ReadFile("../../orderd/internal/door/openapi/openapi.swagger.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			edited := strings.ReplaceAll(string(text), e.old, e.new)
			if e.old != "" && edited == string(text) {
				t.Fatalf("the document has no %s", e.old)
			}
			document, err := loads.Analyzed([]byte(edited), "2.0")
			if err != nil {
				t.Fatal(err)
			}
			got := check(document)
			if found := strings.Contains(strings.Join(got, "\n"), e.want); !found || e.want == "" && len(got) > 0 {
				t.Errorf("got %q, want %q", got, e.want)
			}
		})
	}
}

// invalid returns what the validator finds.
func invalid(document *loads.Document) (findings []string) {
	errors, _ := validate.NewSpecValidator(document.Schema(), strfmt.Default).Validate(document)
	for _, err := range errors.Errors {
		findings = append(findings, err.Error())
	}
	return findings
}

// unlike returns what the validator leaves alone, or warns of: examples that are not what the document says, and calls
// that nobody sums up.
func unlike(document *loads.Document) (findings []string) {
	whole := document.Spec()
	strict(whole)
	if err := spec.ExpandSpec(whole, &spec.ExpandOptions{}); err != nil {
		return []string{err.Error()}
	}
	for _, item := range whole.Paths.Paths {
		for _, call := range []*spec.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if call != nil {
				findings = append(findings, checkCall(call)...)
			}
		}
	}
	return findings
}

// strict has no message have fields that are not its own.
func strict(s *spec.Swagger) {
	for name, schema := range s.Definitions {
		if schema.AdditionalProperties == nil && len(schema.Properties) > 0 {
			schema.AdditionalProperties = &spec.SchemaOrBool{}
			s.Definitions[name] = schema
		}
	}
}

func checkCall(call *spec.Operation) (findings []string) {
	found := func(where, format string, args ...any) {
		findings = append(findings, call.ID+where+": "+fmt.Sprintf(format, args...))
	}
	if call.Summary == "" {
		found("", "no summary")
	} else if strings.Contains(strings.TrimSuffix(call.Summary, "."), ".") || len(call.Summary) > 60 {
		found("", "its summary is more than a sentence: %s", call.Summary)
	}
	for code, response := range call.Responses.StatusCodeResponses {
		where := fmt.Sprintf(", %d", code)
		lines, err := examples(response)
		if err != nil || len(lines) == 0 {
			found(where, "no example, %v", err)
		}
		for _, line := range lines {
			if err := validate.AgainstSchema(response.Schema, line, strfmt.Default); err != nil {
				found(where, "its example: %v", err)
			}
		}
		request, _ := response.Extensions["x-request"].(map[string]any)
		if body, given := request["body"]; given {
			if err := validate.AgainstSchema(bodyOf(call), body, strfmt.Default); err != nil {
				found(where, "the request of its example: %v", err)
			}
		}
	}
	return findings
}

// examples are those of a response: a message, or the lines of a stream.
func examples(r spec.Response) (all []any, err error) {
	if message, given := r.Examples["application/json"]; given {
		return []any{message}, nil
	}
	text, _ := r.Examples["application/x-ndjson"].(string)
	for lines := json.NewDecoder(bytes.NewReader([]byte(text))); lines.More(); {
		var line any
		if err := lines.Decode(&line); err != nil {
			return nil, err
		}
		all = append(all, line)
	}
	return all, nil
}

func bodyOf(call *spec.Operation) *spec.Schema {
	for _, parameter := range call.Parameters {
		if parameter.In == "body" {
			return parameter.Schema
		}
	}
	return nil
}
