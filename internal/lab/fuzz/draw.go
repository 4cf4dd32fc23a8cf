package fuzz

import (
	"math"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"
)

// deepest is how far messages are drawn inside one another.
const deepest = 4

// nasty are texts that were somebody's downfall.
var nasty = []string{
	"", " ", "\x00", "a\x00b", "\n", "\x1b[2J", "\u202e", "\u200b", "\ufeff", "\ufffd", "é", "e\u0301",
	"👩\u200d👩\u200d👧",
	"'; DROP TABLE orders; --", `\`, `{"a":1}`, "null", "-1", "JPY", "ZZZ", strings.Repeat("a", 65),
	strings.Repeat("茶", 134), "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
	"{00000000-0000-0000-0000-000000000000}", "urn:uuid:00000000-0000-0000-0000-000000000000",
}

// edges are numbers at which something may turn over. What does not fit a field's type is cut to it.
var edges = []int64{
	0, 1, 2, -1, 46, 100, 101, 1000, 1001, math.MaxInt32, math.MinInt32, 99_999_999_999, 100_000_000_000,
	253_402_300_799, 253_402_300_800, math.MaxInt64, math.MinInt64,
}

// drawer draws messages. What seeds say comes up in them, so that they speak of what exists, and again.
type drawer struct {
	seeds map[protoreflect.FullName][][]byte // by their types
	texts []string
}

func newDrawer(seeds []proto.Message) (*drawer, error) {
	d := &drawer{seeds: map[protoreflect.FullName][][]byte{}, texts: nasty}
	for _, seed := range seeds {
		body, err := proto.Marshal(seed)
		if err != nil {
			return nil, err
		}
		name := seed.ProtoReflect().Descriptor().FullName()
		d.seeds[name] = append(d.seeds[name], body)
		d.learn(seed.ProtoReflect())
	}
	return d, nil
}

// learn keeps the texts of a message and of those inside it.
func (d *drawer) learn(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				d.learn(value.List().Get(i).Message())
			}
		case field.IsList() || field.IsMap():
		case field.Message() != nil:
			d.learn(value.Message())
		case field.Kind() == protoreflect.StringKind:
			d.texts = append(d.texts, value.String())
		}
		return true
	})
}

// request draws a message of a type: from nothing, which breaks many rules, or from a seed, which breaks few.
func (d *drawer) request(t *rapid.T, of protoreflect.MessageDescriptor) proto.Message {
	m := dynamicpb.NewMessage(of)
	seeds := d.seeds[of.FullName()]
	if len(seeds) == 0 || rapid.IntRange(0, 3).Draw(t, "from nothing") == 0 {
		d.change(t, m, 1, 0)
		return m
	}
	if err := proto.Unmarshal(rapid.SampledFrom(seeds).Draw(t, "seed"), m); err != nil {
		t.Fatalf("a seed of %s: %v", of.FullName(), err)
	}
	d.change(t, m, 6, 0)
	return m
}

// change draws one in so many fields of a message anew, and of the messages inside it.
func (d *drawer) change(t *rapid.T, m protoreflect.Message, one, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case rapid.IntRange(1, one).Draw(t, "change") == 1:
			d.set(t, m, field, depth)
		case !m.Has(field) || field.Message() == nil:
		case field.IsList():
			for i := range m.Get(field).List().Len() {
				d.change(t, m.Get(field).List().Get(i).Message(), one, depth+1)
			}
		default:
			d.change(t, m.Mutable(field).Message(), one, depth+1)
		}
	}
}

// set draws a field, which may also be unset.
func (d *drawer) set(t *rapid.T, m protoreflect.Message, field protoreflect.FieldDescriptor, depth int) {
	m.Clear(field)
	if depth == deepest || rapid.IntRange(0, 4).Draw(t, "unset") == 0 {
		return
	}
	if !field.IsList() {
		m.Set(field, d.value(t, field, depth))
		return
	}
	list := m.Mutable(field).List()
	for range rapid.SampledFrom([]int{0, 1, 1, 2, 3, 101}).Draw(t, "length") {
		list.Append(d.value(t, field, depth))
	}
}

// value draws what a field may hold, of the kinds that the requests of hosho have.
func (d *drawer) value(t *rapid.T, field protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	name := string(field.Name())
	number := rapid.OneOf(rapid.SampledFrom(edges), rapid.Int64())
	switch field.Kind() {
	case protoreflect.MessageKind:
		m := dynamicpb.NewMessage(field.Message())
		d.change(t, m, 1, depth+1)
		return protoreflect.ValueOfMessage(m)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32Range(-1, 9).Draw(t, name)))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, name))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(number.Draw(t, name)))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(number.Draw(t, name))
	case protoreflect.StringKind:
		texts := rapid.SampledFrom(d.texts)
		return protoreflect.ValueOfString(rapid.OneOf(texts, texts, rapid.String()).Draw(t, name))
	}
	t.Fatalf("%s is of kind %s: teach drawer.value how to draw one", field.FullName(), field.Kind())
	return protoreflect.Value{}
}
