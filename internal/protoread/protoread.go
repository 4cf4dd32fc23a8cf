// Package protoread reads the fields of protobuf messages by hand, where messages come by the thousand: what is made of
// them need not be made one by one, nor each string copied.
//
// Its promise: what it reads is what the protobuf library would. It does not read everything: whoever meets a field
// that he does not expect, or is told that something was not read, asks the library.
package protoread

// Type is how a field is encoded.
type Type byte

// The types that are read.
const (
	Varint Type = 0
	Bytes  Type = 2
)

// Field is a field's number, of 1 to 15, with its type.
type Field byte

// Of returns a field.
func Of(number byte, t Type) Field { return Field(number<<3 | byte(t)) }

// Reader reads a message field by field. The text of a field is a part of the message's.
type Reader struct {
	left   string
	failed bool
}

// Read begins with a message.
func Read(message string) Reader { return Reader{left: message} }

// Next returns the next field, whose value has to be read next; false when there is none, or something was not read.
func (r *Reader) Next() (Field, bool) {
	if r.left == "" || r.failed {
		return 0, false
	}
	f := Field(r.left[0])
	r.left = r.left[1:]
	return f, true
}

// Whole reports whether everything was read.
func (r *Reader) Whole() bool { return !r.failed && r.left == "" }

// Number returns the value of a Varint.
func (r *Reader) Number() uint64 {
	var n uint64
	for i := 0; i < len(r.left) && i < longest; i++ {
		b := r.left[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.left = r.left[i+1:]
			return n
		}
	}
	r.failed = true
	return 0
}

// longest is how many bytes a number may have that is read. Those that have one more are negative, and nothing that is
// read here is.
const longest = 9

// Message returns the value of Bytes, to be read in its turn.
func (r *Reader) Message() string {
	n := r.Number()
	if n > uint64(len(r.left)) {
		r.failed = true
	}
	if r.failed {
		return ""
	}
	value := r.left[:n]
	r.left = r.left[n:]
	return value
}

// Text returns the value of Bytes that are a string. One that is not ASCII is not read.
func (r *Reader) Text() string {
	text := r.Message()
	for i := range len(text) {
		r.failed = r.failed || text[i] >= 0x80
	}
	return text
}
