package stage

// story tells nobody what the players do: the daemons' events tell it.
type story struct{}

// Note is part of demo.Story.
func (story) Note(string, string, string) {}

// Watch is part of demo.Story.
func (story) Watch(string) {}
