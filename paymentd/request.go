package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/page"
	"hosho/internal/payment"
	"hosho/internal/paymentdb"
	"hosho/internal/validate"
)

// maxCommands is how many commands one request of ProcessPayments may carry.
const maxCommands = 1000

const (
	kindCharge = paymentv1.PaymentResult_KIND_CHARGE
	kindVoid   = paymentv1.PaymentResult_KIND_VOID
)

// command is a charge or a void, with what is wrong with it.
type command struct {
	kind    paymentv1.PaymentResult_Kind
	sentID  string          // the key as it was sent
	meant   string          // the identity of the payments database that is meant; empty: any
	asked   payment.Charge  // with the key in lower case, empty when it is no key; a void has no NotAfter
	asking  *call           // of the card network, when it is a charge that the network has not answered
	verdict payment.Verdict // of the network, when it has
	refused error           // the answer, whatever is stored
	doubt   error           // the answer, unless its key is known: a broken rule, or the network's error

	traceparent string // that it is carried out under; empty: nobody traces it
	heard       *heard // the event that it came in; nil: somebody called
}

// fromCommand reads a command once, as all of this file do: what it asks for, in the domain's values, and a
// *validate.Error that names every field at fault.
func fromCommand(m *paymentv1.PaymentCommand) command {
	c := command{refused: errNoCommand()}
	switch m := m.GetCommand().(type) {
	case *paymentv1.PaymentCommand_Charge:
		c = fromCharge(m.Charge)
	case *paymentv1.PaymentCommand_Void:
		c = fromVoid(m.Void)
	}
	c.traceparent = m.GetTraceparent()
	return c
}

// fromCharge holds a charge against today's rules. They count only where its key is unknown (rule 5 of doc/rules.md),
// which cannot be asked of what is no key.
func fromCharge(r *paymentv1.ChargePaymentRequest) command {
	var f validate.Fields
	c := command{kind: kindCharge, sentID: r.GetPaymentId(), meant: r.GetPaymentsDatabase()}
	c.asked.Request = fromRequest(&f, r)
	f.ID("customer_id", c.asked.CustomerID)
	f.Currency("amount.currency_code", c.asked.Currency)
	f.Range("amount.amount_minor", c.asked.AmountMinor, 1, payment.MaxAmount)
	c.asked.NotAfter = fromNotAfter(&f, r.GetNotAfter())
	if c.asked.ID == "" {
		c.refused = f.Err()
	} else {
		c.doubt = f.Err()
	}
	return c
}

// fromVoid asks for no more than that the tombstone can be stored: a void must come to an end whatever today's rules
// are (rules 5 and 7 of doc/rules.md). It shares no limit with fromCharge, so that a stricter one for charges can never
// make it impossible to give the money of an older order back.
func fromVoid(r *paymentv1.VoidPaymentRequest) command {
	var f validate.Fields
	c := command{kind: kindVoid, sentID: r.GetPaymentId(), meant: r.GetPaymentsDatabase()}
	c.asked.Request = fromRequest(&f, r)
	checkStorable(&f, c.asked.Request)
	c.refused = f.Err()
	return c
}

// What the columns of the table payments can hold, as its CHECKs say. It is no rule of business: it changes with the
// table and for nothing else.
const storableAmount = 99_999_999_999

var (
	storableCustomer = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
	storableCurrency = regexp.MustCompile(`^[A-Z]{3}$`)
)

func checkStorable(f *validate.Fields, r payment.Request) {
	f.Form("customer_id", r.CustomerID, storableCustomer, "1 to 64 of A-Z a-z 0-9 . _ : -")
	f.Form("amount.currency_code", r.Currency, storableCurrency, "three capital letters such as JPY")
	f.Range("amount.amount_minor", r.AmountMinor, 1, storableAmount)
}

// fromRequest reads what charges and voids have in common, and holds it against no rule but that there is a key.
func fromRequest(f *validate.Fields, r interface {
	GetPaymentId() string
	GetCustomerId() string
	GetAmount() *moneyv1.Money
},
) payment.Request {
	return payment.Request{
		ID: f.UUID("payment_id", r.GetPaymentId()), CustomerID: r.GetCustomerId(),
		AmountMinor: r.GetAmount().GetAmountMinor(), Currency: r.GetAmount().GetCurrencyCode(),
	}
}

// fromNotAfter returns the zero time only where none was sent. The first second of the year 1, which is Go's zero time,
// has passed like any other before 1970.
func fromNotAfter(f *validate.Fields, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	if !t.IsValid() {
		f.Add("not_after", "got %d s and %d ns since 1970, want a time in the years 1 to 9999",
			t.GetSeconds(), t.GetNanos())
	}
	return time.Unix(max(t.GetSeconds(), 0), int64(t.GetNanos()))
}

// errNoCommand refuses a command without content, such as one of a newer client.
func errNoCommand() error {
	var f validate.Fields
	f.Add("command", "got none, want charge or void")
	return f.Err()
}

// commandsField is the field of a request that has its commands.
const commandsField = 1

// checkCommands counts the commands of a request, and looks at none: what is wrong with one is that one's own answer.
func checkCommands(message []byte) error {
	n, err := countCommands(message)
	if err != nil {
		return err
	}
	var f validate.Fields
	if n < 1 || n > maxCommands {
		f.Add("commands", "got %d, want 1 to %d", n, maxCommands)
	}
	return f.Err()
}

// countCommands returns how many commands a request has.
func countCommands(message []byte) (n int, err error) {
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeField(message)
		if length < 0 {
			return 0, errUnreadable(protowire.ParseError(length))
		}
		if number == commandsField && kind == protowire.BytesType {
			n++
		}
		message = message[length:]
	}
	return n, nil
}

// errUnreadable is what gRPC makes of what is no message: a fault that nobody expects. It is no error of another kind,
// though one that breaks off is said to be an end of file.
func errUnreadable(err error) error { return fmt.Errorf("read a request: %s", err.Error()) }

// fromKey returns a payment's key as the database writes it.
func fromKey(sent string) (string, error) {
	var f validate.Fields
	id := f.UUID("payment_id", sent)
	return id, f.Err()
}

// fromList returns which payments are asked for. Where the page begins is in its token.
func fromList(r *paymentv1.ListPaymentsRequest) (paymentdb.Filter, error) {
	var f validate.Fields
	page.CheckSize(&f, r.GetPageSize())
	filter := paymentdb.Filter{CustomerID: r.GetCustomerId()}
	if filter.CustomerID != "" {
		f.ID("customer_id", filter.CustomerID)
	}
	switch name, known := paymentv1.Payment_Status_name[int32(r.GetStatus())]; {
	case !known:
		f.Add("status", "got %d, want a status of Payment.Status", r.GetStatus())
	case r.GetStatus() != paymentv1.Payment_STATUS_UNSPECIFIED:
		filter.Status = payment.Status(strings.TrimPrefix(name, statusPrefix))
	}
	return filter, f.Err()
}
