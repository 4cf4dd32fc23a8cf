package outbox

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// Table is a table of messages. It has the columns and indexes of the table outbox in migrations/orders, and beside it
// there is one like outbox_claims; only this package names them.
type Table struct {
	Name string
	// Supersedes says that of the messages with the same key the youngest alone counts: a claim deletes those that are
	// older, and they are never delivered. Without it, every message is.
	Supersedes bool
	// Standing is the kind of message that AppendFrom writes: workers have standing claims on it. Empty: none have.
	Standing string
	// Along is what the Handler's Check holds messages against, where it can be read along with them. nil: nothing is.
	Along *Along
}

// Along is read along with messages that are born with a claim, and sent as soon as they are read: one statement less
// for them. Of other messages Check reads by itself what it wants to know.
type Along struct {
	Query string // of one row at most, for the message whose key is m.key; it ends with OFFSET 0, and stays a lookup
	// Into returns where the columns of a row are scanned into, which are NULL where there is none, and the value that
	// is then the message's Along.
	Into func() (columns []any, along any)
}

// sql puts the table's name where a statement says {table}, and that of its standing claims where it says {claims}.
func (t Table) sql(statement string) string {
	return strings.NewReplacer(
		"{table}", pgx.Identifier{t.Name}.Sanitize(), "{claims}", pgx.Identifier{t.claims()}.Sanitize(),
	).Replace(statement)
}

func (t Table) claims() string { return t.Name + "_claims" }

// Keys is View for those who may see what the messages are about, and nothing else of them: the columns key and kind.
func (t Table) Keys() string { return t.sql(`(SELECT key, kind FROM {table})`) }

// View is how statements of other packages see the messages, to join them to what they are about: a subquery in
// parentheses with the columns
//
//	id, key, kind, attempts, claims, traceparent, expires   as Message has them
//	appended                                                when it was written
//	due                                                     from then on it may be claimed; the end of its lease
//	leased                                                  somebody claimed it, and nothing became of that yet
//	parked                                                  since when it waits for an operator; NULL: it does not
//	code                                                    what its last delivery came to; NULL before the first
//
// These names stay when the table's change. The planner looks through the subquery: conditions on its columns use the
// table's indexes.
func (t Table) View() string { return t.view(``) }

// Whole is View for who works, and not who repairs or audits: with the columns alone, it is delivered by itself, and
// sends, as Message has it.
func (t Table) Whole() string { return t.view(`, suspect AS alone, sends`) }

func (t Table) view(more string) string {
	return t.sql(`(
		SELECT id, key, kind, attempts, claims, traceparent, expires_at AS expires, created_at AS appended,
			` + dueAt + ` AS due, lease_token IS NOT NULL AS leased, parked_at AS parked, last_code AS code` + more + `
		FROM {table})`)
}

// dueAt is from when on a row may be claimed: it is due, and nobody holds it. A claim of an earlier release moved
// ready_at itself to the end of its lease.
const dueAt = `greatest(ready_at, CASE WHEN lease_token IS NOT NULL THEN leased_until END)`
