package pg

import "testing"

// The URL for a login leads to the same database as the one that it is made from, and has nothing of who that is for.
func TestAURLForAnotherLogin(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"postgres://admin:old@db.example/orders":            "p%20%2B%40w@db.example/orders",
		"postgres://db.example:6432/orders?sslmode=require": "p%20%2B%40w@db.example:6432/orders?sslmode=require",
		"postgres://admin@a:1,b:2/orders?sslmode=disable&options=-c%20a%3Db&passfile=%2Fp&sslkey=k&role=x": "" +
			"p%20%2B%40w@a:1,b:2/orders?sslmode=disable&options=-c%20a%3Db",
		"postgres://a,b:2/orders":                             "p%20%2B%40w@a,b:2/orders",
		"postgres://[::1]:5433/orders?pool_max_conns=3":       "p%20%2B%40w@[::1]:5433/orders?pool_max_conns=3",
		"host=/run/pg dbname='my db' user=admin password=old": "p%20%2B%40w@/my%20db?host=%2Frun%2Fpg",
		"host=a,b port=7 dbname=orders options='-c a=b'":      "p%20%2B%40w@a:7,b:7/orders?options=-c%20a%3Db",
	} {
		want = "postgres://orderd:" + want
		got, err := URLFor(given, "orderd", "p +@w")
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", given, got, err, want)
			continue
		}
		before, err := Parse(given)
		if err != nil {
			t.Fatal(err)
		}
		after, err := Parse(got)
		if err != nil {
			t.Errorf("%s: made a URL that is none: %v", given, err)
			continue
		}
		if after.ConnConfig.User != "orderd" || after.ConnConfig.Password != "p +@w" {
			t.Errorf("%s: got user %s and password %s", given, after.ConnConfig.User, after.ConnConfig.Password)
		}
		if b, a := before.ConnConfig, after.ConnConfig; b.Host != a.Host || b.Port != a.Port ||
			b.Database != a.Database || len(b.Fallbacks) != len(a.Fallbacks) ||
			(b.TLSConfig == nil) != (a.TLSConfig == nil) {
			t.Errorf("%s: it leads to %s:%d/%s, want %s:%d/%s",
				given, a.Host, a.Port, a.Database, b.Host, b.Port, b.Database)
		}
	}
	if _, err := URLFor("postgres://db.example", "orderd", "secret"); err == nil {
		t.Error("a URL without a database was taken")
	}
}
