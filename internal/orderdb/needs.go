package orderdb

import "hosho/internal/pg"

// orders is what both programs do with the orders, but for placing them.
var orders = pg.Need{
	Table: "orders",
	Select: []string{
		"id", "customer_id", "items", "amount_minor", "currency", "status", "cancel_reason",
		"created_at", "updated_at", "deadline_at", "completed_at",
	},
	Update: []string{"status", "cancel_reason", "updated_at"},
}

// changes is what both do with the record of how orders changed.
var changes = pg.Need{
	Table:  "changes",
	Insert: []string{"order_id", "from_status", "to_status", "at", "cause", "who", "trace_id"},
}

// OrderdNeeds returns what orderd needs of the database.
func OrderdNeeds() []pg.Need {
	placing := orders
	placing.Select = append([]string{"request_id", "request_hash"}, orders.Select...)
	placing.Insert = []string{
		"id", "customer_id", "request_id", "request_hash", "items", "amount_minor", "currency", "deadline_at",
	}
	return append([]pg.Need{placing, changes, Outbox.ToFind()}, Outbox.ToAppendFrom()...)
}

// RelayNeeds returns what a relay needs of the database.
func RelayNeeds() []pg.Need {
	explaining := changes
	explaining.Select = []string{"order_id", "id", "from_status", "to_status", "at", "cause", "who", "trace_id"}
	return append([]pg.Need{
		orders, explaining,
		{
			Table: "attempts",
			Select: []string{
				"order_id", "command_id", "claim", "code", "kind", "at", "relay", "rpc", "means", "latency",
				"trace_id", "retry_in",
			},
			Insert: []string{
				"order_id", "command_id", "claim", "code", "kind", "relay", "rpc", "means", "latency", "trace_id",
				"retry_in",
			},
		},
		{
			Table:  "audit",
			Select: []string{"order_id", "id", "action", "kind", "operator", "reason", "at"},
			Insert: []string{"order_id", "action", "kind", "operator", "reason"},
		},
		{
			Table:  "payments_database",
			Select: []string{"id"},
			Insert: []string{"id"},
			Update: []string{"id", "since"},
		},
		{Table: "database_identity", Select: []string{"id"}},
		{Table: "payments_database_audit", Insert: []string{"from_id", "to_id", "operator", "reason"}},
	}, Outbox.ToWork()...)
}
