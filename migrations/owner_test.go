package migrations_test

import (
	"fmt"
	"testing"

	"hosho/internal/pgtest"
	"hosho/internal/slow"
)

// Whoever owns the database, or may only make things in it, migrates it and undoes that, also with the goose command
// line, whether there are roles or not. What is not his to give stays as it is.
func TestAnOwnerWhoIsNoSuperuserMigrates(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	admin := server.Create(t, "admin")
	for _, set := range sets {
		for _, there := range []bool{false, true} {
			for _, owns := range []bool{true, false}[:slow.Times(1, 2)] {
				name := fmt.Sprintf("%s_%v_%v", set, there, owns)
				exec(t, admin, fmt.Sprintf(`CREATE ROLE %s LOGIN`, name))
				db := server.Create(t, name)
				if owns {
					exec(t, db, fmt.Sprintf(`ALTER DATABASE %s OWNER TO %[1]s`, name))
				} else {
					exec(t, db, fmt.Sprintf(`GRANT CREATE ON SCHEMA public TO %s`, name))
				}
				as := db.Login(t, name)
				up(t, set, as)
				if _, _, err := set.Grant(t.Context(), as.URL); err != nil {
					t.Errorf("%s: grant: %v", name, err)
				}
				check(t, set, as, nil)
				group := groups[set][1]
				if there {
					if !may(t, db, `has_any_column_privilege($1, $2, 'INSERT')`, group, string(set)) {
						t.Errorf("%s: %s may not insert", name, group)
					}
					shut := !may(t, db, `has_database_privilege('public', current_database(), 'TEMP')`)
					if shut != owns {
						t.Errorf("%s: PUBLIC is shut out: %v, want %v", name, shut, owns)
					}
				}
				steps := provider(t, set, as.URL)
				if _, err := steps.DownTo(t.Context(), 0); err != nil {
					t.Errorf("%s: goose down-to 0: %v", name, err)
				}
				if _, err := steps.Up(t.Context()); err != nil {
					t.Errorf("%s: goose up: %v", name, err)
				}
				check(t, set, as, nil)
			}
			if !there {
				makeGroups(t, admin, groups[set]...)
			}
		}
	}
}

// Roles that are made when the database is migrated already get what is theirs when it is migrated once more.
func TestMigratingAgainGrantsToRolesThatCameLater(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		grant := func() (granted, missing int) {
			t.Helper()
			there, absent, err := set.Grant(t.Context(), db.URL)
			if err != nil {
				t.Fatal(err)
			}
			return len(there), len(absent)
		}
		if granted, missing := grant(); granted+missing != 0 {
			t.Errorf("not migrated: got %d granted and %d missing, want nothing said", granted, missing)
		}
		up(t, set, db)
		makeGroups(t, db, groups[set]...)
		if may(t, db, `has_any_column_privilege($1, $2, 'INSERT')`, groups[set][1], string(set)) {
			t.Error("a role has rights before they are granted")
		}
		if granted, missing := grant(); granted != len(groups[set]) || missing != 0 {
			t.Errorf("got %d granted and %d missing, want all", granted, missing)
		}
		if !may(t, db, `has_any_column_privilege($1, $2, 'INSERT')`, groups[set][1], string(set)) {
			t.Error("a role has no rights after they are granted")
		}
	}
}
