// Package roles makes the roles of a database on its server, and a file for each login with the URL by which it
// connects.
//
// Its promise: each program gets a login of its own, which owns nothing and may do what its group may, as the
// migrations' grant_roles says. Bootstrap may be run again and again, also on a database that was made before there
// were roles: it makes what is missing, and leaves what is there to work on. No password is sent to the server, or
// written anywhere but into the login's file, which nobody else can read.
//
// Groups carry the rights, logins the passwords: a second login in a group is how a password is changed while the
// first one is in use.
package roles

import (
	"slices"

	"hosho/migrations"
)

// Login is one that Bootstrap makes.
type Login struct {
	Name  string
	Group string // whose rights it has
	For   string // the command that connects so

	settings []string // of its sessions: name, value, ...
}

// The groups of a database that are not one program's.
const (
	OrdersOwner   = "hosho_orders_owner"
	PaymentsOwner = "hosho_payments_owner"
)

// Settings of sessions that say nothing themselves, as a person's do. A daemon says how long its statements and its
// pauses may take, and some of them take long: its login has none.
var (
	briefly = []string{"lock_timeout", "3s", "idle_in_transaction_session_timeout", "10s"}
	reading = []string{
		"default_transaction_read_only", "on", "statement_timeout", "60s", "idle_in_transaction_session_timeout", "60s",
	}
)

// as has whatever a login makes belong to its group.
func as(group string) []string { return []string{"role", group} }

var logins = map[migrations.Set][]Login{
	migrations.Orders: {
		{"orders_migrator", OrdersOwner, "orderd migrate", as(OrdersOwner)},
		{"orderd", "hosho_orderd", "orderd serve", nil},
		{"relay", "hosho_relay", "relay serve", nil},
		{"orders_repair", "hosho_repair", "sagactl reconcile --repair", briefly},
		{"orders_reader", "hosho_orders_reader", "sagactl reconcile", reading},
	},
	migrations.Payments: {
		{"payments_migrator", PaymentsOwner, "paymentd migrate", as(PaymentsOwner)},
		{"paymentd", "hosho_paymentd", "paymentd serve", nil},
		{"payments_reader", "hosho_payments_reader", "sagactl reconcile", reading},
	},
}

// Logins are those of a database. The first one owns its schema.
func Logins(set migrations.Set) []Login { return slices.Clone(logins[set]) }
