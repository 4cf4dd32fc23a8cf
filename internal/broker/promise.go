package broker

import (
	"errors"
	"fmt"
	"strings"
)

// CostOf says what it costs when something on a topic is lost, at the end of what is unsafe about it. What was no event
// of the saga's nobody sends again.
func CostOf(topic string) string {
	if strings.HasSuffix(topic, deadLetters) {
		return ": costs dead letters, which nobody sends again"
	}
	return ": costs a resend, never money"
}

// Waiting says how many events a group has not dealt with.
func Waiting(group string, events int64) string {
	return fmt.Sprintf("group %s: %d events wait", group, events)
}

// AskedFor notes what a plan asks for and a topic has otherwise, and why it stays so.
func (p *Promise) AskedFor(what string, asked, has any, why string) {
	p.Otherwise = append(p.Otherwise, fmt.Sprintf("asked for %s %v, has %v: %s", what, asked, has, why))
}

// flaws are several, in one line.
type flaws []error

func (f flaws) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (f flaws) Unwrap() []error { return f }

// Each looks at one topic of the plan after the other. Those that are missing hold up none of the others.
func (p Plan) Each(look func(Topic) (Promise, error)) ([]Promise, error) {
	promises := make([]Promise, 0, len(p.Topics))
	var missing flaws
	for _, topic := range p.Topics {
		promise, err := look(topic)
		flaw, _ := errors.AsType[*Flaw](err)
		switch {
		case err == nil:
			promises = append(promises, promise)
		case flaw != nil && flaw.missing:
			missing = append(missing, err)
		default:
			return promises, err
		}
	}
	if missing != nil {
		return promises, &Flaw{missing, true}
	}
	return promises, nil
}
