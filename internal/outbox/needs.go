package outbox

import "hosho/internal/pg"

// columns are all of a table.
var columns = []string{
	"id", "key", "kind", "payload", "expires_at", "traceparent", "attempts", "claims", "answers",
	"ready_at", "leased_until", "lease_token", "suspect", "parked_at", "last_code", "created_at",
	"sends", "refused",
}

// ToAppend is what a program needs of the table that puts messages into it.
func (t Table) ToAppend() pg.Need {
	return pg.Need{Table: t.Name, Insert: []string{"key", "kind", "payload", "expires_at", "traceparent"}}
}

// ToAppendFrom is what a program needs that puts messages into it with AppendFrom.
func (t Table) ToAppendFrom() []pg.Need {
	need := t.ToAppend()
	need.Insert = append(need.Insert, "lease_token", "leased_until", "claims")
	return []pg.Need{need, {Table: t.claims(), Select: claimColumns}}
}

// claimColumns are all of the standing claims' table.
var claimColumns = []string{"token", "kind", "lease", "until"}

// ToFind is what a program needs of the table that finds by it what there are messages about.
func (t Table) ToFind() pg.Need { return pg.Need{Table: t.Name, Select: []string{"key", "kind"}} }

// ToWork is what a program needs of the table that delivers its messages, appends others, and shows them to operators.
func (t Table) ToWork() []pg.Need {
	need := t.ToAppend()
	need.Select = columns
	need.Update = []string{
		"payload", "attempts", "claims", "answers", "ready_at", "leased_until", "lease_token", "parked_at", "last_code",
		"sends", "refused",
	}
	need.Delete = true
	return []pg.Need{
		need,
		{Table: t.claims(), Select: claimColumns, Insert: claimColumns, Update: []string{"until"}, Delete: true},
	}
}
