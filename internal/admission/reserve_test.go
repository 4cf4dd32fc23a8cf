package admission

import (
	"testing"
	"testing/synctest"
)

// Nobody waits in the lane. Its slots are taken at the door, and whoever comes when there is none is refused there.
func TestWhoIsLetInAtTheDoorIsNotRefusedLater(t *testing.T) {
	t.Parallel()
	l := NewLane("create", 2).Impatient()
	first, err := l.Reserve("a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Reserve("b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve("c"); !isOverloaded(t, err) {
		t.Errorf("got %v at the door, want an Overloaded", err)
	}
	if _, err := l.Enter(t.Context()); !isOverloaded(t, err) {
		t.Errorf("got %v inside, want an Overloaded", err)
	}
	if err := l.Full(); !isOverloaded(t, err) {
		t.Errorf("got %v, want an Overloaded", err)
	}
	first()
	enter(t, l)()
	second()
	if l.busy != 0 || len(l.of) != 0 {
		t.Errorf("got %d at work and %d parties, want none", l.busy, len(l.of))
	}
}

// One client asks for ten times what there is, and another now and then. He finds a slot each time.
func TestNoClientTakesTheLastSlotsFromAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLane("create", 64).Impatient()
		refused := 0
		for range 640 {
			if _, err := l.Reserve("greedy"); err != nil {
				refused++
			}
		}
		if refused < 500 {
			t.Errorf("got %d refusals of the greedy one, want most of 640", refused)
		}
		for range 8 {
			if _, err := l.Reserve("modest"); err != nil {
				t.Errorf("got %v, want a slot", err)
			}
		}
	})
}

// Where a lane has a queue there is no slot at the door.
func TestALaneWithAQueueReservesNothing(t *testing.T) {
	t.Parallel()
	l := NewLane("cancel", 1)
	if leave, err := l.Reserve(nil); leave != nil || err != nil || l.busy != 0 {
		t.Errorf("got a slot, error %v and %d at work; want none of it", err, l.busy)
	}
	var none *Lane
	if leave, err := none.Reserve(nil); leave != nil || err != nil {
		t.Errorf("got a slot of no lane, error %v", err)
	}
}
