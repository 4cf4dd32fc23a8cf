package paymentdb

import "hosho/internal/pg"

// Needs returns what paymentd needs of the database.
func Needs() []pg.Need {
	return []pg.Need{
		{
			Table: "payments",
			Select: []string{
				"id", "customer_id", "amount_minor", "currency", "status", "decline_reason", "created_at", "updated_at",
			},
			Insert: []string{"id", "customer_id", "amount_minor", "currency", "status", "decline_reason"},
			Update: []string{"status", "updated_at"},
		},
		{
			Table:  "ledger",
			Select: []string{"payment_id", "kind", "amount_minor", "currency", "at"},
			Insert: []string{"payment_id", "kind", "amount_minor", "currency"},
		},
		{Table: "database_identity", Select: []string{"id"}},
		{
			Table:  "orders_database",
			Select: []string{"id"},
			Insert: []string{"id"},
			Update: []string{"id", "since"},
		},
		{Table: "orders_database_audit", Insert: []string{"from_id", "to_id", "operator", "reason"}},
	}
}
