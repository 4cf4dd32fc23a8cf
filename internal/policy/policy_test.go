package policy_test

import (
	"strings"
	"testing"

	"hosho/internal/order"
	"hosho/internal/policy"
)

const (
	create = "order.v1.OrderService/CreateOrder"
	get    = "order.v1.OrderService/GetOrder"
	shop   = "spiffe://example.org/shop"
)

func TestAPolicyAllowsWhatItsLinesSayAndNothingElse(t *testing.T) {
	t.Parallel()
	p, err := policy.Parse(`# who may what
		spiffe://example.org/shop ` + create + `,` + get + ` shop1:,ada # the shop
		spiffe://example.org/shop ` + get + ` bob

		spiffe://example.org/operator ` + policy.ListAll + ` *
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		id, permission, customer string
		method, included         bool
	}{
		{shop, create, "ada", true, true},
		{shop, create, "shop1:ada", true, true},
		{shop, create, "shop10", true, false},
		{shop, create, "shop1", true, false},
		{shop, create, "bob", true, false}, // whom it may only read
		{shop, create, "", true, false},
		{shop, get, "bob", true, true},
		{shop, get, "ada", true, true},
		{shop, "order.v1.OrderService/CancelOrder", "ada", false, false},
		{shop, "order.v1.OrderService/ListOrders", "ada", false, false},
		{shop, policy.ListAll, "ada", false, false},
		{shop + "1", get, "ada", false, false},
		{"", get, "ada", false, false},
		{"spiffe://example.org/operator", policy.ListAll, "ada", true, true},
		{"spiffe://example.org/operator", "order.v1.OrderService/ListOrders", "ada", false, false},
	} {
		customers, method := p.May(tt.id, tt.permission)
		if method != tt.method || customers.Include(tt.customer) != tt.included {
			t.Errorf("%+v: got %v, and %v", tt, method, customers.Include(tt.customer))
		}
	}
	var none *policy.Policy
	if customers, method := none.May("", create); !method || !customers.Include("anybody") {
		t.Error("no policy: got it refused, want all allowed")
	}
}

// Each line that is wrong is told with its number, and what it was to be.
func TestAFileThatIsNoPolicyIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "no line allows anything",
		"# nothing\n":                        "no line allows anything",
		shop + " " + get:                     "line 1: got 2 fields",
		shop + " " + get + " a b":            "line 1: got 4 fields",
		"\n" + shop + " GetOrder *":          `line 2: got the method "GetOrder"`,
		shop + " /" + get + " *":             "got the method",
		shop + " " + get + ", *":             `got the method ""`,
		"shop " + get + " *":                 `got "shop", want an identity`,
		"spiffe://example.org " + get + " *": "no path",
		shop + " " + get + " a,":             `got the customer ""`,
		shop + " " + get + " shop*":          `got the customer "shop*"`,
		shop + " " + get + " *,":             `got the customer ""`,
	} {
		_, err := policy.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	_, err := policy.Parse("a b c\n" + shop + " " + get + " *\nd\n")
	if err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v, want both lines told", err)
	}
}

func TestAllThatIsServedCanBeAllowed(t *testing.T) {
	t.Parallel()
	all := strings.Join(policy.Permissions(), " ")
	for _, permission := range []string{
		create, get, policy.ListAll, "order.v1.OrderService/CreateOrders", "order.v1.OrderService/WatchOrder",
		"payment.v1.PaymentService/ProcessPayments", "relay.v1.OutboxService/RetryParked",
	} {
		if !strings.Contains(all, permission) {
			t.Errorf("%s cannot be allowed, of %s", permission, all)
		}
	}
	if !order.Everybody.Include("x") || (order.Customers{}).Include("x") {
		t.Error("everybody is not everybody, or nobody is somebody")
	}
}

// Everything that is served is allowed to somebody, and nobody but the relay and a person takes or gives money.
func TestTheShippedPolicyIsOne(t *testing.T) {
	t.Parallel()
	id := func(name string) string { return "spiffe://hosho.test/" + name }
	p, err := policy.Parse(policy.Shipped(id))
	if err != nil {
		t.Fatal(err)
	}
	for _, permission := range policy.Permissions() {
		var who []string
		for _, name := range policy.Names() {
			if customers, ok := p.May(id(name), permission); ok {
				who = append(who, name)
				if !customers.All {
					t.Errorf("%s, %s: got %+v, want everybody", name, permission, customers)
				}
			}
		}
		_, method, _ := strings.Cut(permission, "/")
		want := map[string]string{
			"CreateOrder": "shop", "CreateOrders": "shop", "GetOrder": "shop operator reader",
			"ListOrders": "shop operator reader", "ListOrders:all": "operator reader", "CancelOrder": "shop operator",
			"WatchOrder":      "shop operator reader",
			"ProcessPayments": "relay", "ChargePayment": "relay", "VoidPayment": "relay operator",
			"GetPayment": "operator reader", "ListPayments": "operator reader", "GetDatabase": "relay operator reader",
			"ListParked": "operator reader", "ListCommands": "operator reader",
			"ExplainOrder": "operator reader", "GetBacklog": "operator reader",
			"RetryParked": "operator", "SettleParked": "operator", "AcceptPaymentsDatabase": "operator",
			"AcceptOrdersDatabase": "operator",
			"WatchEvents":          "operator reader",
		}[method]
		if got := strings.Join(who, " "); got != want {
			t.Errorf("%s: got %q, want %q", permission, got, want)
		}
	}
}
