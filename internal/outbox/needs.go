package outbox

import "hosho/internal/pg"

// columns are all of a table.
var columns = []string{
	"id", "key", "kind", "payload", "expires_at", "traceparent", "attempts", "claims", "answers",
	"ready_at", "leased_until", "lease_token", "suspect", "parked_at", "last_code", "created_at",
}

// ToAppend is what a program needs of the table that puts messages into it.
func (t Table) ToAppend() pg.Need {
	return pg.Need{Table: t.Name, Insert: []string{"key", "kind", "payload", "expires_at", "traceparent"}}
}

// ToFind is what a program needs of the table that finds by it what there are messages about.
func (t Table) ToFind() pg.Need { return pg.Need{Table: t.Name, Select: []string{"key", "kind"}} }

// ToWork is what a program needs of the table that delivers its messages, appends others, and shows them to operators.
func (t Table) ToWork() pg.Need {
	need := t.ToAppend()
	need.Select = columns
	need.Update = []string{
		"payload", "attempts", "claims", "answers", "ready_at", "leased_until", "lease_token", "parked_at", "last_code",
	}
	need.Delete = true
	return need
}
