package main

import (
	"strings"
	"testing"
)

// A URL that is none is told at the start, and not only to whoever asks for a comparison.
func TestTheConsoleDoesNotStartWithADatabaseThatIsNone(t *testing.T) {
	t.Parallel()
	cmd, _ := sagactl(t, "console", "--listen", "127.0.0.1:0", "--orders-url", "nonsense", "--payments-url", "nonsense")
	output, err := cmd.CombinedOutput()
	if codeOf(err) != exitFailed || !strings.Contains(string(output), "orders: database URL") {
		t.Errorf("got %v\n%s\nwant exit code 2, and what is wrong with the URL", err, output)
	}
}

// Whoever names one database means to have the books compared, and is told that the other one is missing. A further
// name of the console is no address.
func TestTheConsoleSaysWhatItWants(t *testing.T) {
	for _, variable := range []string{"ORDERS_DATABASE_URL", "PAYMENTS_DATABASE_URL"} {
		t.Setenv(variable, "")
	}
	const orders, payments = "--orders-url=postgres://localhost/orders", "--payments-url=postgres://localhost/payments"
	for _, tt := range []struct {
		args []string
		want string // in the error; empty: there is none
	}{
		{nil, ""},
		{[]string{orders, payments}, ""},
		{[]string{orders}, "--payments-url (PAYMENTS_DATABASE_URL) is missing"},
		{[]string{payments}, "--orders-url (ORDERS_DATABASE_URL) is missing"},
		{[]string{"--allow-host=hosho.example.org"}, ""},
		{[]string{"--allow-host=http://hosho.example.org"}, "without http:// and without a port"},
		{[]string{"--allow-host=hosho.example.org:8001"}, "without http:// and without a port"},
		{[]string{"--allow-host="}, ""},
	} {
		parser, err := newParser(&commands{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(append([]string{"console"}, tt.args...))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: got %v, want it taken", tt.args, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%q: got the error %v, want %q", tt.args, err, tt.want)
		}
	}
}
