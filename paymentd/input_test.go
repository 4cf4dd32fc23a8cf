package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayed "hosho/internal/command"
	"hosho/internal/order"
	"hosho/internal/payment"
)

// The rows of the inputs that both commands refuse, by the field that must be named.
func TestBadInputIsRefusedFieldByField(t *testing.T) {
	t.Parallel()
	s := start(t)
	inputs := map[string][]func(*paymentv1.ChargePaymentRequest){
		"payment_id":           {},
		"customer_id":          {},
		"amount.currency_code": {},
		"amount.amount_minor":  {func(r *paymentv1.ChargePaymentRequest) { r.Amount.AmountMinor = 0 }},
	}
	for _, id := range []string{
		"", "abc", "{0190b6a4-7c5e-7d3a-8f00-0123456789ab}", "0190b6a4-7c5e-7d3a-8f00-0123456789ab0",
		"0190b6a47c5e7d3a8f000123456789ab", "urn:uuid:0190b6a4-7c5e-7d3a-8f00-0123456789ab", strings.Repeat("a", 5000),
	} {
		inputs["payment_id"] = append(inputs["payment_id"],
			func(r *paymentv1.ChargePaymentRequest) { r.PaymentId = id })
	}
	for _, id := range []string{"", "a\r\nb", "\x1b[31m", "a\u202eb", "a\u200bb", "a\x00b", strings.Repeat("a", 65)} {
		inputs["customer_id"] = append(inputs["customer_id"],
			func(r *paymentv1.ChargePaymentRequest) { r.CustomerId = id })
	}
	for _, currency := range []string{"", "jpy", "JP", "JPYY", "€€€", "A\x00B"} {
		inputs["amount.currency_code"] = append(inputs["amount.currency_code"],
			func(r *paymentv1.ChargePaymentRequest) { r.Amount.CurrencyCode = currency })
	}
	for _, amount := range []int64{-1, -1 << 63, payment.MaxAmount + 1, 1<<63 - 1} {
		inputs["amount.amount_minor"] = append(inputs["amount.amount_minor"],
			func(r *paymentv1.ChargePaymentRequest) { r.Amount.AmountMinor = amount })
	}
	for field, spoils := range inputs {
		for _, spoil := range spoils {
			c := newCharge(500)
			spoil(c)
			_, err := s.ChargePayment(t.Context(), c)
			wantInvalid(t, err, field)
			_, err = s.VoidPayment(t.Context(), voidOf(c))
			wantInvalid(t, err, field)
		}
	}
	_, err := s.ChargePayment(t.Context(), &paymentv1.ChargePaymentRequest{})
	wantInvalid(t, err, "payment_id", "customer_id", "amount.currency_code", "amount.amount_minor")
	_, err = s.VoidPayment(t.Context(), &paymentv1.VoidPaymentRequest{})
	wantInvalid(t, err, "payment_id", "customer_id", "amount.currency_code", "amount.amount_minor")
	var n int
	if err := s.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM payments`).Scan(&n); err != nil || n != 0 {
		t.Errorf("got %d payments, error %v, want none", n, err)
	}
}

// A void must be able to answer whatever today's rules are: it asks only for what can be stored.
func TestAVoidIsHeldToFewerRulesThanACharge(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(500)
	c.Amount.CurrencyCode = "ZZZ"
	_, err := s.ChargePayment(t.Context(), c)
	wantInvalid(t, err, "amount.currency_code")
	wantPayment(t, s.void(t, voidOf(c)), c, voided)
	wantPayment(t, s.charge(t, c), c, voided)

	c = newCharge(500)
	c.NotAfter = &timestamppb.Timestamp{Nanos: -1}
	_, err = s.ChargePayment(t.Context(), c)
	wantInvalid(t, err, "not_after")
}

// Every order that the orders database can hold, be its currency long gone: its money can be given back, whatever is
// asked of charges today.
func TestEveryOrderThatCanBeStoredCanBeVoided(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, amount := range []int64{1, 9999, storableAmount} {
		for _, currency := range []string{"JPY", "DEM", "XXX", "ZZZ", "AAA"} {
			for _, customer := range []string{"a", ".:_-", strings.Repeat("Z", 64)} {
				c := newCharge(amount)
				c.CustomerId, c.Amount.CurrencyCode = customer, currency
				payload, err := proto.Marshal(voidOf(c))
				if err != nil {
					t.Fatal(err)
				}
				decoded, err := relayed.Decode(order.Void, c.GetPaymentId(), payload)
				if err != nil {
					t.Fatalf("the relay cannot send the void of %v: %v", c, err)
				}
				wantPayment(t, s.void(t, decoded.GetVoid()), c, voided)
			}
		}
	}
}

// A rule that charges and voids share becomes stricter for both. The functions that read a void know none of them.
func TestAVoidSharesNoRuleWithACharge(t *testing.T) {
	t.Parallel()
	source, err := parser.ParseFile(token.NewFileSet(), "request.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, d := range source.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !slices.Contains([]string{"fromVoid", "fromRequest", "checkStorable"}, f.Name.Name) {
			continue
		}
		read++
		ast.Inspect(f.Body, func(n ast.Node) bool {
			var rule *ast.SelectorExpr
			switch n := n.(type) {
			case *ast.CallExpr:
				rule, _ = n.Fun.(*ast.SelectorExpr)
			case *ast.SelectorExpr:
				rule = n
				if n.Sel.Name != "MaxAmount" {
					rule = nil
				}
			}
			if rule != nil && slices.Contains([]string{"ID", "Currency", "CurrencyForm", "MaxAmount"}, rule.Sel.Name) {
				t.Errorf("%s asks for %s, which is a rule for charges", f.Name.Name, rule.Sel.Name)
			}
			return true
		})
	}
	if read != 3 {
		t.Errorf("read %d functions, want the three that a void goes through", read)
	}
}

func wantInvalid(t *testing.T, err error, fields ...string) {
	t.Helper()
	wantError(t, err, codes.InvalidArgument, "INVALID_FIELDS")
	var got []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				got = append(got, v.GetField())
			}
		}
	}
	if diff := cmp.Diff(fields, got); diff != "" {
		t.Errorf("%v: violations (-want +got):\n%s", err, diff)
	}
}

func TestAKeyThatWasUsedForSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(500)
	stored := s.charge(t, c)
	for _, alter := range []func(*paymentv1.ChargePaymentRequest){
		func(r *paymentv1.ChargePaymentRequest) { r.Amount.AmountMinor = 501 },
		func(r *paymentv1.ChargePaymentRequest) { r.Amount.CurrencyCode = "USD" },
		func(r *paymentv1.ChargePaymentRequest) { r.CustomerId = "c-2" },
		func(r *paymentv1.ChargePaymentRequest) { r.Amount.AmountMinor = 9999 }, // which the network would fail
		func(r *paymentv1.ChargePaymentRequest) { r.Amount.AmountMinor = 0 },    // which no rule allows
	} {
		other := proto.CloneOf(c)
		alter(other)
		_, err := s.ChargePayment(t.Context(), other)
		wantError(t, err, codes.AlreadyExists, "KEY_REUSED")
		if other.GetAmount().GetAmountMinor() > 0 {
			_, err = s.VoidPayment(t.Context(), voidOf(other))
			wantError(t, err, codes.AlreadyExists, "KEY_REUSED")
		}
	}
	got, err := s.GetPayment(t.Context(), &paymentv1.GetPaymentRequest{PaymentId: c.GetPaymentId()})
	if diff := cmp.Diff(stored, got.GetPayment(), protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("error %v (-before +after):\n%s", err, diff)
	}
}

// The limits were wider once, and the currency was in use. What was decided then is answered now.
func TestAKnownKeyIsAnsweredThoughTodaysRulesWouldRefuseIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.exec(t, `ALTER DOMAIN payments_amount DROP CONSTRAINT payments_amount_range`)
	for _, amount := range []*moneyv1.Money{
		{CurrencyCode: "JPY", AmountMinor: payment.MaxAmount + 1},
		{CurrencyCode: "ZZZ", AmountMinor: 500},
	} {
		c := newCharge(0)
		c.Amount = amount
		s.exec(t, `INSERT INTO payments (id, customer_id, amount_minor, currency, status)
			VALUES ($1, $2, $3, $4, 'CHARGED')`,
			c.GetPaymentId(), c.GetCustomerId(), amount.GetAmountMinor(), amount.GetCurrencyCode())
		wantPayment(t, s.charge(t, c), c, charged)
	}
}

func TestAnUpperCaseKeyIsTheSameKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(500)
	s.charge(t, c)
	c.PaymentId = strings.ToUpper(c.GetPaymentId())
	wantPayment(t, s.charge(t, c), c, charged)
	wantPayment(t, s.void(t, voidOf(c)), c, refunded)
}

func TestAMessageThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := newCharge(500)
	c.CustomerId = strings.Repeat("a", maxReceive)
	_, err := s.ChargePayment(t.Context(), c)
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v, want RESOURCE_EXHAUSTED", err)
	}
}
