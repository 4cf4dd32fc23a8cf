package main

import (
	"context"
	"errors"
	"strings"

	"hosho/internal/roles"
	"hosho/internal/terminal"
	"hosho/migrations"
)

type bootstrap struct {
	OrdersURL   string `env:"ORDERS_DATABASE_URL" placeholder:"URL" help:"The orders database, as a superuser."`
	PaymentsURL string `env:"PAYMENTS_DATABASE_URL" placeholder:"URL" help:"The payments database, likewise."`
	Dir         string `type:"path" default:"urls" placeholder:"FOLDER" help:"Where each login's URL is, or is put."`

	privacy
}

// Help is called by kong.
func (*bootstrap) Help() string {
	return "A database that is missing is made. One that is there goes to the owner of its schema, with all that was " +
		"migrated in it. Do it as often as you like: passwords that the folder holds are kept. Who is in none of the " +
		"groups no longer connects once the database is migrated."
}

// Validate is called by kong.
func (b *bootstrap) Validate() error {
	if b.OrdersURL == "" && b.PaymentsURL == "" {
		return errors.New("neither --orders-url (ORDERS_DATABASE_URL) nor --payments-url (PAYMENTS_DATABASE_URL): " +
			"want the URL of at least one database, as a superuser")
	}
	for name, url := range map[string]string{"orders": b.OrdersURL, "payments": b.PaymentsURL} {
		if url == "" {
			continue
		}
		if err := b.privacy.check(name, url); err != nil {
			return err
		}
	}
	return nil
}

// Run makes the roles of each database that is given.
func (b *bootstrap) Run(ctx context.Context, screen *terminal.Terminal) error {
	for _, database := range []struct {
		set migrations.Set
		url string
	}{{migrations.Orders, b.OrdersURL}, {migrations.Payments, b.PaymentsURL}} {
		if database.url == "" {
			continue
		}
		done, err := roles.Bootstrap(ctx, database.set, database.url, b.Dir)
		if err != nil {
			return err
		}
		b.tell(screen, database.set, done)
	}
	return nil
}

// tell says what was done, and who uses which file.
func (b *bootstrap) tell(screen *terminal.Terminal, set migrations.Set, done roles.Done) {
	screen.Line("%s", screen.Paint(terminal.Bold, string(set)))
	if done.Database {
		screen.Line("  made the database")
	}
	if len(done.Roles) > 0 {
		screen.Line("  made %s", strings.Join(done.Roles, ", "))
	}
	if len(done.Passwords) > 0 {
		screen.Line("  made new passwords for %s: who has the URLs of another folder does not connect any more",
			strings.Join(done.Passwords, ", "))
	}
	if done.Given > 0 {
		screen.Line("  gave %d tables, functions and types to %s", done.Given, roles.Logins(set)[0].Group)
	}
	if done.Granted {
		screen.Line("  each may do what it needs, and nobody else connects")
	} else {
		screen.Line("  next: migrate, which gives each its rights")
	}
	for _, login := range roles.Logins(set) {
		screen.Line("  %-28s %s", login.For, roles.URLFile(b.Dir, login.Name))
	}
}
