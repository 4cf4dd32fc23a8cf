package roles_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

	"hosho/internal/pg"
	"hosho/internal/pgtest"
	"hosho/internal/roles"
	"hosho/internal/slow"
	"hosho/migrations"
)

var sets = []migrations.Set{migrations.Orders, migrations.Payments}

// A server that has nothing: the roles are made, the database, and the files, with which one migrates and works.
func TestANewServerIsMadeReady(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		dir := filepath.Join(t.TempDir(), "urls")
		done := boot(t, set, server.URL(string(set)), dir)
		if !done.Database || len(done.Roles) != 2*len(roles.Logins(set)) || done.Granted {
			t.Errorf("the first time: got %+v, want all made, and nothing granted yet", done)
		}
		migrator := urlOf(t, dir, roles.Logins(set)[0].Name)
		if _, err := set.Up(t.Context(), migrator, nil); err != nil {
			t.Fatal(err)
		}
		wantOwner(t, server.URL(string(set)), roles.Logins(set)[0].Group)
		wantWork(t, set, dir)

		before := read(t, dir)
		done = boot(t, set, server.URL(string(set)), dir)
		if done.Database || len(done.Roles) > 0 || done.Given > 0 || !done.Granted {
			t.Errorf("once more: got %+v, want nothing made, and all granted", done)
		}
		if after := read(t, dir); !slices.Equal(before, after) {
			t.Error("once more: got other files, want those that there were")
		}
		wantWork(t, set, dir)
	}
}

// A database that a superuser made and migrated before there were roles goes to its owner, who migrates it from then
// on, whether its last migration comes before the roles or after.
func TestADatabaseOfBeforeThereWereRoles(t *testing.T) {
	slow.Long(t, "migrates from the first release on, as another does from a later one")
	slow.Long(t, "migrates two databases twice, as that of an earlier version does once")
	t.Parallel()
	server := pgtest.Own(t)
	for _, set := range sets {
		db := server.Create(t, string(set))
		if _, err := set.Up(t.Context(), db.URL, nil); err != nil {
			t.Fatal(err)
		}
		execute(t, db.Pool, `CREATE FUNCTION others() RETURNS integer LANGUAGE sql AS 'SELECT 1'`,
			`CREATE ROLE somebody_`+string(set), `ALTER FUNCTION others() OWNER TO somebody_`+string(set))
		dir := t.TempDir()
		if done := boot(t, set, db.URL, dir); done.Database || done.Given == 0 || !done.Granted {
			t.Errorf("got %+v, want what is there given and granted", done)
		}
		wantOwner(t, db.URL, roles.Logins(set)[0].Group)
		wantWork(t, set, dir)
		if err := set.Down(t.Context(), urlOf(t, dir, roles.Logins(set)[0].Name)); err != nil {
			t.Errorf("the owner undoes what a superuser has done: %v", err)
		}
		if _, err := set.Up(t.Context(), urlOf(t, dir, roles.Logins(set)[0].Name), nil); err != nil {
			t.Error(err)
		}
		wantWork(t, set, dir)
	}
}

// A database whose last migration was before there were roles: its new owner migrates it.
func TestADatabaseOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	for set, version := range map[migrations.Set]int64{migrations.Orders: 22, migrations.Payments: 10} {
		db, dir := server.Create(t, string(set)), t.TempDir()
		conn, err := sql.Open("pgx", db.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		folder := os.DirFS(filepath.Join("..", "..", "migrations", string(set)))
		steps, err := goose.NewProvider(goose.DialectPostgres, conn, folder)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := steps.UpTo(t.Context(), version); err != nil {
			t.Fatal(err)
		}
		if done := boot(t, set, db.URL, dir); done.Given == 0 || done.Granted {
			t.Errorf("got %+v, want what is there given, and nothing granted yet", done)
		}
		if _, err := set.Up(t.Context(), urlOf(t, dir, roles.Logins(set)[0].Name), nil); err != nil {
			t.Fatal(err)
		}
		wantOwner(t, db.URL, roles.Logins(set)[0].Group)
		wantWork(t, set, dir)
	}
}

// Who may make roles and databases is enough: it need not be a superuser.
func TestNoSuperuserIsNeeded(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	execute(t, server.Create(t, "others").Pool, `CREATE ROLE admin LOGIN CREATEROLE CREATEDB`)
	for _, set := range sets {
		dir, url := t.TempDir(), pgtest.LoginTo(t, server.URL(string(set)), "admin")
		for range 2 {
			boot(t, set, url, dir)
			if _, err := set.Up(t.Context(), urlOf(t, dir, roles.Logins(set)[0].Name), nil); err != nil {
				t.Fatal(err)
			}
		}
		wantWork(t, set, dir)
	}
}

// The server asks for passwords: the files have the ones that it knows, and it was told none of them.
func TestThePasswordsAreInTheFilesAlone(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	dir := filepath.Join(t.TempDir(), "urls")
	boot(t, migrations.Orders, server.URL("orders"), dir)
	if _, err := migrations.Orders.Up(t.Context(), server.URL("orders"), nil); err != nil {
		t.Fatal(err)
	}
	server.AskPassword(t, "orderd", "relay")
	if err := knock(t, urlOf(t, dir, "orderd")); err != nil {
		t.Error(err)
	}
	wrong := strings.ReplaceAll(urlOf(t, dir, "orderd"), password(t, dir, "orderd"), password(t, dir, "relay"))
	var refused *pgconn.PgError
	if err := knock(t, wrong); !errors.As(err, &refused) || refused.Code != "28P01" {
		t.Errorf("with another's password: got %v, want it refused", err)
	}
	log, err := os.ReadFile(server.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, login := range roles.Logins(migrations.Orders) {
		if strings.Contains(string(log), password(t, dir, login.Name)) {
			t.Errorf("the server's log has the password of %s", login.Name)
		}
		info, err := os.Stat(roles.URLFile(dir, login.Name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v; want it for its owner alone", login.Name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: got %v, %v; want it for its owner alone", info.Mode(), err)
	}
	// A file that is lost has another password, and the server knows it at once.
	if err := os.Remove(roles.URLFile(dir, "orderd")); err != nil {
		t.Fatal(err)
	}
	boot(t, migrations.Orders, server.URL("orders"), dir)
	if err := knock(t, urlOf(t, dir, "orderd")); err != nil {
		t.Error(err)
	}
}

// Somebody gives one URL for both, or the other's. Nothing is given away, migrated or not.
func TestTheOthersDatabaseIsNotTaken(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	dir := filepath.Join(t.TempDir(), "urls")
	boot(t, migrations.Orders, server.URL("orders"), dir)
	for _, migrated := range []bool{false, true} {
		if migrated {
			if _, err := migrations.Orders.Up(t.Context(), urlOf(t, dir, "orders_migrator"), nil); err != nil {
				t.Fatal(err)
			}
		}
		_, err := roles.Bootstrap(t.Context(), migrations.Payments, server.URL("orders"), dir)
		if !errors.Is(err, migrations.ErrForeign) {
			t.Errorf("migrated %v: got %v, want the database of orders refused", migrated, err)
		}
		_, err = migrations.Payments.Up(t.Context(), urlOf(t, dir, "orders_migrator"), nil)
		if !errors.Is(err, migrations.ErrForeign) {
			t.Errorf("migrated %v: got %v, want the migrations of payments refused", migrated, err)
		}
	}
	wantOwner(t, server.URL("orders"), "hosho_orders_owner")
}

// Whoever has the URLs of another folder is shut out by new passwords, and that is said.
func TestPasswordsThatChangeAreTold(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	dir := filepath.Join(t.TempDir(), "urls")
	for range 2 {
		if done := boot(t, migrations.Payments, server.URL("payments"), dir); len(done.Passwords) > 0 {
			t.Errorf("the same folder: got new passwords for %v", done.Passwords)
		}
	}
	done := boot(t, migrations.Payments, server.URL("payments"), filepath.Join(t.TempDir(), "others"))
	if want := []string{"payments_migrator", "paymentd", "payments_reader"}; !slices.Equal(done.Passwords, want) {
		t.Errorf("another folder: got new passwords for %v, want %v", done.Passwords, want)
	}
}

// Another program on the server has a login of the same name. It keeps its password and its rights.
func TestAnothersLoginIsNotTaken(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	db := server.Create(t, "orders")
	execute(t, db.Pool, `CREATE ROLE relay LOGIN PASSWORD 'of the mail server'`)
	before := rolesOf(t, db.Pool)
	dir := filepath.Join(t.TempDir(), "urls")
	_, err := roles.Bootstrap(t.Context(), migrations.Orders, db.URL, dir)
	if err == nil || !strings.Contains(err.Error(), "the role relay is there and is not in hosho_relay") {
		t.Errorf("got %v, want it refused, and whose it may be", err)
	}
	if after := rolesOf(t, db.Pool); after != before {
		t.Errorf("got %q after it, want %q", after, before)
	}
	execute(t, db.Pool, `CREATE ROLE hosho_relay; GRANT hosho_relay TO relay`)
	boot(t, migrations.Orders, db.URL, dir)
}

// rolesOf returns the roles of a server, and what it knows of their passwords.
func rolesOf(t *testing.T, pool *pgxpool.Pool) (known string) {
	t.Helper()
	err := pool.QueryRow(t.Context(), `
		SELECT string_agg(rolname || coalesce(rolpassword, ''), ' ' ORDER BY rolname)
		FROM pg_authid
		WHERE rolname !~ '^pg_'`).Scan(&known)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func TestAnothersFileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, text := roles.URLFile(dir, "relay"), "postgres://ada:pw@db.example/notes"
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := roles.Bootstrap(t.Context(), migrations.Orders, pgtest.Empty(t).URL, dir)
	if err == nil || !strings.Contains(err.Error(), "got the URL of ada, want that of relay") ||
		strings.Contains(err.Error(), "pw") {
		t.Errorf("got %v, want whose it is, without the password", err)
	}
}

func boot(t *testing.T, set migrations.Set, url, dir string) roles.Done {
	t.Helper()
	done, err := roles.Bootstrap(t.Context(), set, url, dir)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// wantWork wants each login to have what it is for.
func wantWork(t *testing.T, set migrations.Set, dir string) {
	t.Helper()
	for _, login := range roles.Logins(set) {
		pool := open(t, urlOf(t, dir, login.Name))
		if err := set.Check(t.Context(), pool, needs[login.Name]); err != nil {
			t.Errorf("%s: %v", login.Name, err)
		}
		var group string
		if err := pool.QueryRow(t.Context(), `SELECT current_user`).Scan(&group); err != nil {
			t.Fatal(err)
		}
		if owns := strings.HasSuffix(login.Name, "_migrator"); (group == login.Group) != owns {
			t.Errorf("%s is %s at work, want the owner: %v", login.Name, group, owns)
		}
		_, err := pool.Exec(t.Context(), `CREATE TABLE mine (); DROP TABLE mine`)
		if may := err == nil; may != strings.HasSuffix(login.Name, "_migrator") {
			t.Errorf("%s makes a table: got %v", login.Name, err)
		}
	}
}

// wantOwner wants all that is in a database to belong to its owner.
func wantOwner(t *testing.T, url, owner string) {
	t.Helper()
	rows, err := open(t, url).Query(t.Context(), `
		SELECT name
		FROM (
			SELECT relname, relowner FROM pg_class WHERE relnamespace = 'public'::regnamespace
			UNION ALL
			SELECT proname, proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname <> 'others'
			UNION ALL
			SELECT typname, typowner FROM pg_type WHERE typnamespace = 'public'::regnamespace
			UNION ALL
			SELECT datname, datdba FROM pg_database WHERE datname = current_database()
		) AS things (name, owner)
		WHERE owner <> $1::regrole`, owner)
	if err != nil {
		t.Fatal(err)
	}
	if others, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(others) > 0 {
		t.Errorf("got %v owned by somebody else, %v; want %s to own all", others, err, owner)
	}
}

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Config{URL: url, Application: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func knock(t *testing.T, url string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return err
	}
	return conn.Close(context.WithoutCancel(t.Context()))
}

func urlOf(t *testing.T, dir, login string) string {
	t.Helper()
	text, err := os.ReadFile(roles.URLFile(dir, login))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func password(t *testing.T, dir, login string) string {
	t.Helper()
	config, err := pg.Parse(urlOf(t, dir, login))
	if err != nil {
		t.Fatal(err)
	}
	return config.ConnConfig.Password
}

// read is what all files hold.
func read(t *testing.T, dir string) (texts []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		texts = append(texts, file.Name()+" "+urlOf(t, dir, file.Name()))
	}
	return texts
}

func execute(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
