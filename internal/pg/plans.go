package pg

import (
	"fmt"
	"strings"
	"time"
)

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
	// pinnedPlans is for what finds its rows by an index, however the tables are filled. Where a table has none the
	// plan seems to be dear, and would be compiled. The sessions of daemons begin with it: see presetting.
	pinnedPlans = []string{
		"plan_cache_mode", "force_generic_plan",
		"enable_seqscan", "off", "enable_bitmapscan", "off", "enable_mergejoin", "off", "jit", "off",
	}
	pinned = locally(pinnedPlans...)
	// inOrder is for what reads from where an index begins, or a key stands in it. What such a statement is to do
	// depends on its parameters. A plan that sorts would read everything before.
	inOrder = anyScan + `, ` + locally("plan_cache_mode", "force_custom_plan", "enable_sort", "off", "jit", "off")
	// whole is for what reads all of a table.
	whole   = anyScan + `, ` + locally("plan_cache_mode", "force_custom_plan")
	anyScan = locally("enable_seqscan", "on", "enable_bitmapscan", "on", "enable_mergejoin", "on")
)

// writePatience is how long a statement may take that writes.
const writePatience = 10 * time.Second

// writeBounds is what is set for a transaction that writes, beside the level and the plans.
var writeBounds = []string{
	"idle_in_transaction_session_timeout", "10s", "lock_timeout", "3s",
	"statement_timeout", milliseconds(writePatience), "client_min_messages", "warning",
}

// bounds sets that as one statement, since those that are sent ahead, with parameters, come one by one.
var bounds = `SELECT ` + locally(writeBounds...) + `, ` + pinned

// ahead returns what a transaction that writes begins with.
func (s *session) ahead() []string {
	if s.preset && s.patience == milliseconds(writePatience) {
		return []string{beginLevel}
	}
	return []string{beginLevel, bounds}
}

// readAhead returns what a transaction begins with that reads, and whose statements the server ends after patience.
func (s *session) readAhead(begin, plans, patience string) []string {
	preset := s.preset && patience == s.patience
	switch {
	case preset && plans == pinned:
		return []string{begin}
	case preset || patience == "":
		return []string{begin, `SELECT ` + plans}
	}
	return []string{begin, `SELECT ` + locally("statement_timeout", patience) + `, ` + plans}
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// locally returns calls that make settings, each a name and a value, for their transaction.
func locally(settings ...string) string {
	var calls []string
	for i := 0; i < len(settings); i += 2 {
		calls = append(calls, `set_config('`+settings[i]+`', '`+settings[i+1]+`', true)`)
	}
	return strings.Join(calls, `, `)
}
