package middleman

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/rpc"
	"hosho/internal/wait"
)

// Trick decides what becomes of one command, and what the relay is told of it.
type Trick func(c *call, random *rand.Rand) (*paymentv1.Payment, error)

// errSilent says that the relay is told nothing.
var errSilent = errors.New("no answer")

// reason is what the middleman gives as the reason of its errors, where it gives one.
const reason = "MIDDLEMAN"

// CodeBefore refuses a command with any of gRPC's sixteen codes. The payment service never hears of it.
func CodeBefore(_ *call, random *rand.Rand) (*paymentv1.Payment, error) {
	return nil, anyCode(random)
}

// Fail refuses a command with INTERNAL, which says nothing about the way to the payment service.
func Fail(*call, *rand.Rand) (*paymentv1.Payment, error) { return nil, failure(codes.Internal) }

// CodeAfter has a command carried out, and answers any of the sixteen codes.
func CodeAfter(c *call, random *rand.Rand) (*paymentv1.Payment, error) {
	if _, err := c.carryOutAlone(); err != nil {
		return nil, err
	}
	return nil, anyCode(random)
}

// LostReply has a command carried out, and answers nothing.
func LostReply(c *call, _ *rand.Rand) (*paymentv1.Payment, error) {
	_, _ = c.carryOutAlone() // nobody is told how it went
	return nil, errSilent
}

// Silence swallows a command.
func Silence(*call, *rand.Rand) (*paymentv1.Payment, error) { return nil, errSilent }

// Unknown has a command carried out, and answers a status that today's relay does not know.
func Unknown(c *call, random *rand.Rand) (*paymentv1.Payment, error) {
	p, err := c.carryOutAlone()
	if err != nil {
		return nil, err
	}
	p.Status = paymentv1.Payment_Status(random.IntN(2) * 99) // unspecified, or of the future
	return p, nil
}

// WrongEcho has a command carried out, and answers for another amount.
func WrongEcho(c *call, _ *rand.Rand) (*paymentv1.Payment, error) {
	p, err := c.carryOutAlone()
	if err != nil {
		return nil, err
	}
	p.Amount.AmountMinor++
	return p, nil
}

// ForgedEcho answers for another amount in the place of the payment service, which never hears of the command.
func ForgedEcho(c *call, _ *rand.Rand) (*paymentv1.Payment, error) {
	p := &paymentv1.Payment{
		PaymentId: c.command.GetVoid().GetPaymentId(), CustomerId: c.command.GetVoid().GetCustomerId(),
		Amount: proto.CloneOf(c.command.GetVoid().GetAmount()), Status: paymentv1.Payment_STATUS_VOIDED,
	}
	if charge := c.command.GetCharge(); charge != nil {
		p.PaymentId, p.CustomerId = charge.GetPaymentId(), charge.GetCustomerId()
		p.Amount, p.Status = proto.CloneOf(charge.GetAmount()), paymentv1.Payment_STATUS_CHARGED
	}
	p.Amount.AmountMinor++
	return p, nil
}

// Overload asks for patience.
func Overload(_ *call, _ *rand.Rand) (*paymentv1.Payment, error) {
	return nil, failure(codes.ResourceExhausted, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
}

// Late plays a trick after a while.
func Late(trick Trick, longest time.Duration) Trick {
	return func(c *call, random *rand.Rand) (*paymentv1.Payment, error) {
		if !c.wait(time.Duration(random.Int64N(int64(longest)))) {
			return nil, errSilent
		}
		return trick(c, random)
	}
}

// Hold has a command carried out after a while, whoever still waits for it: what comes after it overtakes it.
func Hold(longest time.Duration) Trick {
	return Late(func(c *call, _ *rand.Rand) (*paymentv1.Payment, error) { return c.carryOutAlone() }, longest)
}

// Repeat has a command carried out two to five times at once, and answers what the first of them was answered.
func Repeat(c *call, random *rand.Rand) (*paymentv1.Payment, error) {
	var others sync.WaitGroup
	for range 1 + random.IntN(4) {
		others.Go(func() { _, _ = c.carryOutAlone() }) // a duplicate: nobody waits for it
	}
	p, err := c.carryOutAlone()
	others.Wait()
	return p, err
}

// Replay has a command carried out, and again after a while, when its order may be settled and its row gone.
func Replay(longest time.Duration) Trick {
	return func(c *call, random *rand.Rand) (*paymentv1.Payment, error) {
		after := time.Duration(random.Int64N(int64(longest)))
		c.middleman.work.Go(func() {
			if c.wait(after) {
				_, _ = c.carryOutAlone() // nobody waits for it
			}
		})
		return c.carryOutAlone()
	}
}

// anyCode makes an error with one of gRPC's codes, with a reason as paymentd gives one, or without, as proxies do.
func anyCode(random *rand.Rand) error {
	code := codes.Code(1 + random.IntN(16))
	if random.IntN(2) == 0 {
		return status.Error(code, "a code by chance")
	}
	return failure(code)
}

func failure(code codes.Code, details ...protoadapt.MessageV1) error {
	all := append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: rpc.Domain}}, details...)
	st, err := status.New(code, "a code by chance").WithDetails(all...)
	if err != nil {
		return err
	}
	return st.Err()
}

// call is one command of a relay's.
type call struct {
	middleman *Middleman
	command   *paymentv1.PaymentCommand
}

// carryOut asks the payment service, in a call of its own.
func (c *call) carryOut(ctx context.Context) (*paymentv1.Payment, error) {
	if charge := c.command.GetCharge(); charge != nil {
		reply, err := c.middleman.client.ChargePayment(ctx, charge)
		return reply.GetPayment(), err
	}
	reply, err := c.middleman.client.VoidPayment(ctx, c.command.GetVoid())
	return reply.GetPayment(), err
}

// carryOutAlone does the same for longer than the relay may wait.
func (c *call) carryOutAlone() (*paymentv1.Payment, error) {
	ctx, cancel := context.WithTimeout(c.middleman.running, callTimeout)
	defer cancel()
	return c.carryOut(ctx)
}

// wait reports whether the time has passed before the middleman was closed.
func (c *call) wait(d time.Duration) bool {
	return wait.For(c.middleman.running, d)
}

// result puts on the stream what a call of its own would have answered.
func (c *call) result(p *paymentv1.Payment, err error) *paymentv1.PaymentResult {
	r := &paymentv1.PaymentResult{
		PaymentId: c.command.GetVoid().GetPaymentId(), Kind: paymentv1.PaymentResult_KIND_VOID,
	}
	if charge := c.command.GetCharge(); charge != nil {
		r.PaymentId, r.Kind = charge.GetPaymentId(), paymentv1.PaymentResult_KIND_CHARGE
	}
	if err == nil {
		r.Outcome = &paymentv1.PaymentResult_Payment{Payment: p}
		return r
	}
	refused := &paymentv1.PaymentError{
		Code: int32(status.Code(err)), Reason: rpc.Reason(err), Message: status.Convert(err).Message(),
	}
	if delay := rpc.RetryDelay(err); delay > 0 {
		refused.RetryDelay = durationpb.New(delay)
	}
	r.Outcome = &paymentv1.PaymentResult_Error{Error: refused}
	return r
}
