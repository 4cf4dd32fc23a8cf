package migrations

import (
	"fmt"
	"strings"
)

// belongs returns ErrForeign unless the database is this set's, or empty. Where it does not say whose it is, because
// the migration that makes it say so is not applied yet, its tables tell, or its owner, who has one set's role.
func (d standing) belongs(s Set) error {
	name := d.name
	switch {
	case name != "":
	case d.orders && d.payments:
		name = "orders and payments at once"
	case d.orders:
		name = string(Orders)
	case d.payments:
		name = string(Payments)
	case d.Owner == Orders.ownerRole():
		name = string(Orders)
	case d.Owner == Payments.ownerRole():
		name = string(Payments)
	case d.version > 0:
		name = "something else, which goose has migrated as well"
	}
	if name != "" && name != string(s) {
		return fmt.Errorf("%w: got the database of %s, want that of %s: give %s the URL of its own database",
			ErrForeign, name, s, s.owner())
	}
	return nil
}

// fits compares the schema's age with the program's.
func (d standing) fits(s Set) error {
	newest, err := s.latest()
	switch {
	case err != nil:
		return err
	case d.version == 0:
		return fmt.Errorf("%w: database %s is at version 0, want %d, and its search_path is %s: run `%s migrate`",
			ErrSchema, s, newest, d.SearchPath, s.owner())
	case d.version < newest:
		return fmt.Errorf("%w: database %s is at version %d, want %d: run `%s migrate`",
			ErrSchema, s, d.version, newest, s.owner())
	case d.compatibleFrom > newest:
		return fmt.Errorf("%w: database %s is at version %d, which is for programs of version %d and later, "+
			"and this program is of version %d: upgrade it", ErrSchema, s, d.version, d.compatibleFrom, newest)
	}
	return nil
}

// mostMissing bounds how much of what is missing one message names.
const mostMissing = 10

// usable returns ErrUnfit unless what the program does can be done here.
func (d standing) usable() error {
	missing := d.Missing
	if more := len(missing) - mostMissing; more > 0 {
		missing = append(missing[:mostMissing:mostMissing], fmt.Sprintf("and %d more", more))
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: it lacks %s: give it back, or mend the role or the search_path",
			ErrUnfit, strings.Join(missing, "; "))
	}
	return nil
}

// holdsNames returns ErrUnfit for a database in which some name that the contract allows has no spelling.
func (d standing) holdsNames() error {
	if d.Encoding == "UTF8" {
		return nil
	}
	return fmt.Errorf("%w: its encoding is %s, want UTF8, which holds every name: CREATE DATABASE ... ENCODING 'UTF8' "+
		"TEMPLATE template0", ErrUnfit, d.Encoding)
}
