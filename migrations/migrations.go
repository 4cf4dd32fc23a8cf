// Package migrations holds the schema of both databases as goose migrations: the same files serve the goose command
// line and the daemons' migrate commands.
//
// Its promise: Up may be run by any number of processes at once, and beside daemons at work, which it holds up for a
// second at a time; it is refused on a database of another set; and a daemon can tell whether all that it needs is
// there. Serving never migrates.
package migrations

import (
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed orders/*.sql payments/*.sql
var files embed.FS

// The sets, each named after its folder.
const (
	Orders   Set = "orders"
	Payments Set = "payments"
)

// Set is the migrations of one database.
type Set string

// owner is the daemon whose command brings the schema up to date.
func (s Set) owner() string {
	return map[Set]string{Orders: "orderd", Payments: "paymentd"}[s]
}

// ownerRole owns a database for which roles were made.
func (s Set) ownerRole() string { return "hosho_" + string(s) + "_owner" }

func (s Set) folder() fs.FS {
	sub, err := fs.Sub(files, string(s))
	if err != nil {
		panic(err) // a Set that is not a folder name: only the two constants exist
	}
	return sub
}

func (s Set) latest() (int64, error) {
	names, err := fs.Glob(s.folder(), "*.sql")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(names[len(names)-1]) // Glob sorts, and the numbers have leading zeros
}
