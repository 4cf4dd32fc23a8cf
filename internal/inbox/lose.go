package inbox

import (
	"slices"

	"hosho/internal/broker"
	"hosho/internal/failpoint"
)

// lose returns the events without those that an experiment has lost, and the places of these: a broker lost them, or
// somebody acknowledged them and died.
func lose(events []broker.Event) (going []broker.Event, lost []int) {
	for i := range events {
		if failpoint.Drops(failpoint.InboxFetched) {
			lost = append(lost, i)
		}
	}
	if len(lost) == 0 {
		return events, nil
	}
	for i := range events {
		if !slices.Contains(lost, i) {
			going = append(going, events[i])
		}
	}
	return going, lost
}
