package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"hosho/internal/pg"
	"hosho/internal/reconcile"
)

// databases is the flags of who looks into both databases.
type databases struct {
	OrdersURL       string `env:"ORDERS_DATABASE_URL" placeholder:"URL" help:"The orders database."`
	OrdersURLFile   string `env:"ORDERS_DATABASE_URL_FILE" placeholder:"FILE" help:"A file that holds that URL."`
	PaymentsURL     string `env:"PAYMENTS_DATABASE_URL" placeholder:"URL" help:"The payments database."`
	PaymentsURLFile string `env:"PAYMENTS_DATABASE_URL_FILE" placeholder:"FILE" help:"A file that holds that URL."`

	privacy
}

// privacy is the flag of who takes it that others read along.
type privacy struct {
	InsecureDatabase bool `env:"SAGACTL_INSECURE_DATABASE" help:"Take databases off loopback without verify-full."`
}

// Validate is called by kong. An empty URL would be taken for whatever server is near.
func (d *databases) Validate() error {
	return errors.Join(
		d.find("orders", &d.OrdersURL, d.OrdersURLFile), d.find("payments", &d.PaymentsURL, d.PaymentsURLFile))
}

// given reports whether anybody named a database.
func (d *databases) given() bool {
	return d.OrdersURL+d.OrdersURLFile+d.PaymentsURL+d.PaymentsURLFile != ""
}

// open opens both for a run of reconcile. Whoever has them closes them.
func (d *databases) open(ctx context.Context, config pg.Config) (orders, payments *pgxpool.Pool, err error) {
	config.URL = d.OrdersURL
	if orders, err = pg.Open(ctx, config); err != nil {
		return nil, nil, fmt.Errorf("orders: %w", err)
	}
	config.URL = d.PaymentsURL
	if payments, err = pg.Open(ctx, config); err != nil {
		orders.Close()
		return nil, nil, fmt.Errorf("payments: %w", err)
	}
	return orders, payments, nil
}

// check returns what is wrong with the URLs, as far as that is seen without connecting: now, and not only to whoever
// asks for a comparison.
func (d *databases) check(ctx context.Context) error {
	orders, payments, err := d.open(ctx, pg.Config{Application: "sagactl console"})
	if err != nil {
		return err
	}
	orders.Close()
	payments.Close()
	return nil
}

// compare opens both for as long as it takes to compare them.
func (d *databases) compare(ctx context.Context, o reconcile.Options) (reconcile.Summary, error) {
	orders, payments, err := d.open(ctx, pg.Config{Application: "sagactl console"})
	if err != nil {
		return reconcile.Summary{}, err
	}
	defer orders.Close()
	defer payments.Close()
	summary, err := reconcile.Run(ctx, orders, payments, o)
	return summary, rightDatabase(err)
}

// find sees to it that there is the URL of a database, and that nobody reads along who is between.
func (d *databases) find(name string, url *string, file string) error {
	flag, variable := "--"+name+"-url", strings.ToUpper(name)+"_DATABASE_URL"
	switch {
	case *url != "" && file != "":
		return fmt.Errorf("%s (%s) and %[1]s-file (%[2]s_FILE) are both given: want one of them", flag, variable)
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s-file: %w", flag, err)
		}
		*url = strings.TrimSpace(string(text))
	}
	if *url == "" {
		return fmt.Errorf("%s (%s) is missing: want the URL of the %s database, as the file env of \"sagactl up\" "+
			"sets it", flag, variable, name)
	}
	return d.privacy.check(name, *url)
}

// check returns an error when others could read along on the way to a database, unless that is taken.
func (p privacy) check(name, url string) error {
	err := pg.CheckPrivate(url)
	if !exposed(err) {
		return nil // what is no URL is told by whoever opens it
	}
	if p.InsecureDatabase {
		_, err := fmt.Fprintf(os.Stderr, "sagactl: %s: %v: whoever is between reads along\n", name, err)
		return err
	}
	return fmt.Errorf("--%s-url: %w; or say --insecure-database", name, err)
}

// exposed reports whether others could read along.
func exposed(err error) bool {
	_, is := errors.AsType[*pg.ExposedError](err)
	return is
}
