package collector

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Trace returns the spans of one trace.
func Trace(all []Span, id string) []Span {
	return slices.DeleteFunc(slices.Clone(all), func(s Span) bool { return s.TraceID != id })
}

// Tree draws the spans of one trace: each below its parent, in the order of time, with its service and those of its
// attributes that are hosho's own.
func Tree(spans []Span) string {
	var b strings.Builder
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		for _, s := range spans {
			if s.Parent != parent {
				continue
			}
			fmt.Fprintf(&b, "%s%s: %s%s\n", indent, s.Service, s.Name, s.details())
			draw(s.ID, indent+"   ")
		}
	}
	for _, s := range spans { // those whose parent is somebody else's
		if !slices.ContainsFunc(spans, func(p Span) bool { return p.ID == s.Parent }) {
			fmt.Fprintf(&b, "%s: %s%s\n", s.Service, s.Name, s.details())
			draw(s.ID, "   ")
		}
	}
	return b.String()
}

func (s Span) details() string {
	text := ""
	for _, key := range slices.Sorted(maps.Keys(s.Attributes)) {
		if name, own := strings.CutPrefix(key, "hosho."); own && name != "order.id" {
			text += fmt.Sprintf("  %s=%s", name, s.Attributes[key])
		}
	}
	if s.Failed {
		text += "  ERROR"
	}
	return text
}
