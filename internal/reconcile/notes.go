package reconcile

// notes is what a pass leaves for the one after it. Both of its sets are bounded.
type notes struct {
	most     int              // keys in a set
	known    map[string]Class // the findings of before
	underWay map[string]bool
	from     string           // the first key under way for which there was no room; "": there was for all
	found    map[string]Class // what is wrong, as judged last
	more     bool             // there was no room for all that was found
	mended   map[string]bool  // of the known, those that are not wrong any more
}

func newNotes(most int, known map[string]Class) *notes {
	return &notes{
		most: most, known: known,
		underWay: map[string]bool{}, found: map[string]Class{}, mended: map[string]bool{},
	}
}

// isUnderWay has the key looked at again.
func (n *notes) isUnderWay(id string) {
	switch {
	case n == nil:
	case n.underWay[id] || len(n.underWay) < n.most:
		n.underWay[id] = true
	case n.from == "" || id < n.from:
		n.from = id
	}
}

// judged notes what became of a key that was read for certain; class is "" when nothing is wrong. The last judgement
// counts: a command without its order is found after the order was looked for.
func (n *notes) judged(id string, class Class) {
	if n == nil {
		return
	}
	delete(n.mended, id)
	_, again := n.found[id]
	switch {
	case class == "":
		delete(n.found, id)
		if _, known := n.known[id]; known {
			n.mended[id] = true
		}
	case again || len(n.found) < n.most:
		n.found[id] = class
	default:
		n.more = true
	}
}
