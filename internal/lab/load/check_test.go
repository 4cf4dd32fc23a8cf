package load

import (
	"strings"
	"testing"

	orderv1 "hosho/gen/order/v1"
	"hosho/internal/rules"
)

const (
	pending    = orderv1.Order_STATUS_PENDING
	completed  = orderv1.Order_STATUS_COMPLETED
	cancelling = orderv1.Order_STATUS_CANCELLING
	cancelled  = orderv1.Order_STATUS_CANCELLED
)

func TestAgainst(t *testing.T) {
	t.Parallel()
	type seen = []orderv1.Order_Status
	tests := []struct {
		name      string
		seen      seen
		cancelled bool
		now       string
		want      []Contradiction // of its rule, with the detail in its own
	}{
		{"nothing has happened", seen{pending}, false, "PENDING", nil},
		{"it was paid", seen{pending, completed}, false, "COMPLETED", nil},
		{"it was given up", seen{pending, cancelling, cancelled}, false, "CANCELLED", nil},
		{"it was declined", seen{pending, cancelled}, false, "CANCELLED", nil},
		{"it was cancelled after it was paid", seen{pending, completed, cancelling}, true, "CANCELLED", nil},
		{"a status was seen twice", seen{pending, pending, completed, completed}, false, "COMPLETED", nil},
		{"nobody looked", seen{pending}, false, "CANCELLED", nil},
		{"a cancellation is under way", seen{pending, cancelling}, true, "CANCELLING", nil},

		{
			"it vanished",
			seen{pending},
			false, "",
			[]Contradiction{{Rule: rules.I10, Detail: "order o-1 was acknowledged and does not exist"}},
		},
		{
			"it vanished after its cancellation",
			seen{pending, cancelling},
			true, "",
			[]Contradiction{{Rule: rules.I10, Detail: "does not exist"}},
		},
		{
			"its status went back",
			seen{pending, completed, pending, completed},
			false, "COMPLETED",
			[]Contradiction{{Rule: rules.I10, Detail: "order o-1 went back"}},
		},
		{
			"it came back to life",
			seen{pending, cancelled, completed, cancelled},
			false, "CANCELLED",
			[]Contradiction{{Rule: rules.I10, Detail: "order o-1 went back"}},
		},
		{
			"it went back twice",
			seen{cancelled, completed, pending},
			false, "PENDING",
			[]Contradiction{{Rule: rules.I10, Detail: "went back"}, {Rule: rules.I10, Detail: "went back"}},
		},
		{
			"it is behind",
			seen{pending, completed},
			false, "PENDING",
			[]Contradiction{{Rule: rules.I10, Detail: "order o-1 is PENDING after it was seen"}},
		},
		{
			"it is undone",
			seen{pending, cancelled},
			false, "CANCELLING",
			[]Contradiction{{Rule: rules.I10, Detail: "order o-1 is CANCELLING after it was seen"}},
		},
		{
			"it has a status that there is not",
			seen{pending},
			false, "LOST",
			[]Contradiction{{Rule: rules.I10, Detail: "order o-1 is LOST after it was seen"}},
		},
		{
			"a cancellation was forgotten",
			seen{pending, pending},
			true, "PENDING",
			[]Contradiction{{Rule: rules.I11, Detail: "order o-1 is PENDING although"}},
		},
		{
			"a cancellation was overtaken",
			seen{pending, completed},
			true, "COMPLETED",
			[]Contradiction{{Rule: rules.I11, Detail: "order o-1 is COMPLETED although"}},
		},
		{
			"a cancellation was undone",
			seen{pending, cancelling},
			true, "COMPLETED",
			[]Contradiction{
				{Rule: rules.I10, Detail: "order o-1 is COMPLETED after it was seen"},
				{Rule: rules.I11, Detail: "order o-1 is COMPLETED although"},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			told := &Told{OrderID: "o-1", Statuses: test.seen, Cancelled: test.cancelled}
			got := told.against(test.now)
			if len(got) != len(test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for i, want := range test.want {
				if got[i].Rule != want.Rule || !strings.Contains(got[i].Detail, want.Detail) ||
					got[i].Lost != (test.now == "") {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}
