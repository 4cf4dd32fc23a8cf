package outbox

import "time"

// The slack of a frontier, at first and at most.
const (
	leastSlack = 3 * time.Second
	mostSlack  = 30 * time.Second
)

// frontier is where a worker's claims begin to look, so that they need not pass over all that is held already, nor
// over what was deleted and cannot be vacuumed as long as somebody has an old snapshot. It is a hint and no cursor.
// What lies behind it, because it was committed late, given back, or left by a worker that died, is due like
// everything else: it is seen by the next look, and claimed from the beginning.
type frontier struct {
	from  time.Time     // by the database's clock; zero: the beginning
	slack time.Duration // how far it stays behind, for what is committed late
}

// moved puts the frontier where the claim found nothing more before it.
func (f *frontier) moved(found []claimed, limit int) {
	var newest time.Time
	plain := 0
	for _, c := range found {
		if c.Alone {
			continue
		}
		plain++
		if c.ReadyAt.After(newest) {
			newest = c.ReadyAt
		}
		if c.Claims == 1 && c.ReadyAt.Before(f.from) {
			f.slack = min(2*f.slack, mostSlack) // commits take longer here
		}
	}
	if plain == 0 {
		return // it is not known when that was
	}
	f.slack = max(f.slack, leastSlack)
	f.from = found[0].At.Add(-f.slack)
	if plain == limit && newest.Before(f.from) {
		f.from = newest
	}
}
