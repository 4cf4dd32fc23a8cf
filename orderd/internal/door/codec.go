package door

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// codec is JSON as proto3 has it (protobuf.dev/programming-guides/json): names in lowerCamelCase, int64 as strings,
// enums by name, what is unset left out. It reads the names of the proto files as well, and refuses fields that it does
// not know, or that come twice, and whatever follows the message.
type codec struct{}

const contentType = "application/json"

// ContentType is called by the gateway.
func (codec) ContentType(any) string { return contentType }

// StreamContentType is that of a line each.
func (codec) StreamContentType(any) string { return "application/x-ndjson" }

// Delimiter ends each line of a stream: Marshal has done so.
func (codec) Delimiter() []byte { return nil }

// Marshal makes one line. The message of a stream comes in a map, by which it is told from an error.
func (c codec) Marshal(v any) ([]byte, error) {
	var line bytes.Buffer
	if err := c.write(&line, v); err != nil {
		return nil, err
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

func (c codec) write(line *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case proto.Message:
		text, err := protojson.Marshal(v)
		if err != nil {
			return err
		}
		return json.Compact(line, text) // which has no blanks that come and go
	case map[string]any:
		for name, message := range v { // there is one
			fmt.Fprintf(line, `{%q:`, name)
			if err := c.write(line, message); err != nil {
				return err
			}
			line.WriteByte('}')
		}
		return nil
	case map[string]proto.Message:
		for name, message := range v {
			return c.write(line, map[string]any{name: message})
		}
	}
	return fmt.Errorf("got %T, want a message", v)
}

// NewEncoder is called by nobody.
func (c codec) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		text, err := c.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
}

// Unmarshal reads a whole text.
func (codec) Unmarshal(text []byte, v any) error {
	message, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("got %T, want a message", v)
	}
	err := protojson.Unmarshal(text, message)
	if err == nil {
		return nil
	}
	told := strings.ReplaceAll(err.Error(), "\u00a0", " ") // which protobuf sets in one build and not in another
	return fmt.Errorf("the body: %s", strings.TrimPrefix(told, "proto: "))
}

// NewDecoder reads all there is. A body that is empty is the empty message.
func (c codec) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(text) == 0 {
			return io.EOF
		}
		return c.Unmarshal(text, v)
	})
}
