package outbox

import (
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// News are what a transaction with an AppendFrom tells the workers: whose the messages are, and when they were written.
// They go through NOTIFY as words without commas: a hint, which may be lost, late, doubled or made up. What becomes of
// it is decided by the rows.
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

// TellingOf is the expression that has the transaction of an AppendFrom tell the workers of it. taker names the query
// that is TakerOf, and n says how many messages they are.
//
// A server whose queue of notifications is full refuses such a transaction (pg.Unheard).
func (t Table) TellingOf(taker, n string) string {
	return `pg_notify('` + Channel + `', ` + t.wordOf(taker, n) + `)`
}

// wordOf is the news: messages are named by the moment at which they are written, in microseconds; where nobody holds
// them, any worker may take them.
func (t Table) wordOf(taker, n string) string {
	return `'` + t.Standing + `' || coalesce((
			SELECT ' ' || left(token::text, ` + nameLength + `) || ' '
				|| (date_part('epoch', statement_timestamp()) * 1000000)::bigint || ' ' || ` + n + `
			FROM ` + pgx.Identifier{taker}.Sanitize() + `), '')`
}

// nameOf is what news call the standing claim with a token.
func nameOf(token string) string { return token[:8] }

// readNews is the other end of wordOf; false where the word is something else.
func readNews(word string) (n news, ok bool) {
	parts := strings.Split(word, " ")
	if len(parts) != 4 {
		return n, false
	}
	at, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return n, false
	}
	n.kind, n.name, n.at = parts[0], parts[1], time.UnixMicro(at)
	n.n, err = strconv.Atoi(parts[3])
	return n, err == nil && n.n > 0
}
