package story

import (
	"encoding/json"
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Encode writes one JSON object: all answers as they were given, and what was made of them.
func (s Story) Encode(to io.Writer) error {
	order, err := raw(s.Order, s.Order != nil)
	delivery, err2 := raw(s.Delivery, s.Delivery != nil)
	payment, err3 := raw(s.Payment, s.Payment != nil)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	var next, silent []string
	for _, step := range s.Next() {
		next = append(next, step.What)
	}
	for _, who := range s.Silent {
		silent = append(silent, who.Err.Error())
	}
	out := json.NewEncoder(to)
	out.SetEscapeHTML(false)
	return out.Encode(struct {
		Order    json.RawMessage `json:"order,omitempty"`
		Delivery json.RawMessage `json:"delivery,omitempty"`
		Payment  json.RawMessage `json:"payment,omitempty"`
		TraceID  string          `json:"trace_id,omitempty"`
		Timeline []Moment        `json:"timeline"`
		Next     []string        `json:"next,omitempty"`
		Silent   []string        `json:"incomplete,omitempty"`
	}{order, delivery, payment, s.TraceID(), s.History(), next, silent})
}

// raw is a message as JSON, nil when there is none.
func raw(m proto.Message, known bool) (json.RawMessage, error) {
	if !known {
		return nil, nil
	}
	return protojson.Marshal(m)
}
