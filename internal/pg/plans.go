package pg

import "strings"

// How statements are planned, as set_config for their transaction, which is how a pooler needs it.
//
// Statements are prepared, and each connection plans them once, without their parameters: planning costs more than most
// of them do. Such a plan lives as long as its connection, or until the statistics are made anew, and an outbox is
// empty most of the time: what is best for an empty table is to read all of it, which is kept when a million rows are
// there. So plans that do are not there to be chosen. Joins by hash are, since batches are joined with each other; the
// statements see to it themselves that each row is looked up (= ANY(ARRAY[id]), or OFFSET 0 in a LATERAL subquery).
//
// A plan that was made under these settings stays when they do not: each statement has to have the same ones always.
var (
	// pinned is for what finds its rows by an index, however the tables are filled. Where a table has none the plan
	// seems to be dear, and would be compiled.
	pinned = locally("plan_cache_mode", "force_generic_plan",
		"enable_seqscan", "off", "enable_bitmapscan", "off", "enable_mergejoin", "off", "jit", "off")
	// inOrder is for what reads from where an index begins, or a key stands in it. What such a statement is to do
	// depends on its parameters. A plan that sorts would read everything before.
	inOrder = locally("plan_cache_mode", "force_custom_plan", "enable_sort", "off", "jit", "off")
	// whole is for what reads all of a table.
	whole = locally("plan_cache_mode", "force_custom_plan")
)

// bounds is what begin sets, beside the level: as one statement, since those that are sent ahead, with parameters, come
// one by one.
var bounds = `SELECT ` + locally("idle_in_transaction_session_timeout", "10s", "lock_timeout", "3s",
	"statement_timeout", "10s", "client_min_messages", "warning") + `, ` + pinned

// readBounds is what is set for a transaction that reads.
func (s *session) readBounds(plans string) string {
	if s.patience == "" {
		return `SELECT ` + plans
	}
	return `SELECT set_config('statement_timeout', '` + s.patience + `', true), ` + plans
}

// locally returns calls that make settings, each a name and a value, for their transaction.
func locally(settings ...string) string {
	var calls []string
	for i := 0; i < len(settings); i += 2 {
		calls = append(calls, `set_config('`+settings[i]+`', '`+settings[i+1]+`', true)`)
	}
	return strings.Join(calls, `, `)
}
