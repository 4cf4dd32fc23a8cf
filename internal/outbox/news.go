package outbox

import (
	"strconv"
	"strings"
	"time"
)

// News are what a process tells the workers that has committed an AppendFrom: whose the messages are, and when they
// were written. They go through NOTIFY as words without commas, shorter than a UUID: a hint, which may be lost, late,
// doubled or made up. What becomes of it is decided by the rows.
type news struct {
	kind string
	name string    // of the standing claim
	at   time.Time // by the database's clock
	n    int       // messages
}

// nameLength is how much of a token its news have. Another worker that has the same looks once more than it must.
const nameLength = `8`

// gone begins the news of a standing claim that somebody has ended.
const gone = "GONE"

// NewsOf returns the word that tells of n messages that AppendFrom wrote at a moment. token is what TakerOf said, nil
// where nobody holds them: then any worker may take them.
func (t Table) NewsOf(token *string, at time.Time, n int) string {
	if token == nil {
		return t.Standing
	}
	return strings.Join([]string{
		t.Standing, nameOf(*token), strconv.FormatInt(at.UnixMicro(), 36), strconv.Itoa(n),
	}, " ")
}

func nameOf(token string) string { return token[:8] }

// readNews is the other end of NewsOf; false where the word is something else.
func readNews(word string) (n news, ok bool) {
	parts := strings.Split(word, " ")
	if len(parts) != 4 {
		return n, false
	}
	at, err := strconv.ParseInt(parts[2], 36, 64)
	if err != nil {
		return n, false
	}
	n.kind, n.name, n.at = parts[0], parts[1], time.UnixMicro(at)
	n.n, err = strconv.Atoi(parts[3])
	return n, err == nil && n.n > 0
}
