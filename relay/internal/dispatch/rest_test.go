package dispatch

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/wait"
)

// introduced is a paymentd that is asked who it is, and nothing else.
type introduced struct {
	paymentv1.PaymentServiceClient

	ahead time.Duration
	away  bool
	asked []time.Time
}

func (i *introduced) GetDatabase(
	context.Context, *paymentv1.GetDatabaseRequest, ...grpc.CallOption,
) (*paymentv1.GetDatabaseResponse, error) {
	i.asked = append(i.asked, time.Now())
	if i.away {
		return nil, status.Error(codes.Unavailable, "away")
	}
	return &paymentv1.GetDatabaseResponse{
		PaymentsDatabase: "x", ClockTime: timestamppb.New(time.Now().Add(i.ahead)),
	}, nil
}

// While all is well and nothing is sent paymentd is asked seldom. Whoever sends after a rest has it asked at once, and
// from then on as often as before; and so has the end of a stream, once.
func TestAPaymentdThatRestsIsAskedSeldom(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		paymentd introduced
		each     func(a *acquaintance, second int)
		want     []int // the seconds at which it is asked, of the first 240
	}{
		"rests":       {introduced{}, func(*acquaintance, int) {}, []int{0, 120}},
		"is away":     {introduced{away: true}, func(*acquaintance, int) {}, every(15, 0)},
		"runs ahead":  {introduced{ahead: time.Minute}, func(*acquaintance, int) {}, every(15, 0)},
		"is heard of": {introduced{}, func(a *acquaintance, _ int) { a.latest() }, []int{0, 120}},
		"is sent to": {introduced{}, func(a *acquaintance, second int) {
			if second >= 60 {
				(&streams{peer: a, opening: &opening{}}).ready()
			}
		}, append([]int{0}, every(16, 60)...)},
		"ended a stream": {introduced{}, func(a *acquaintance, second int) {
			if second == 60 {
				a.forget()
			}
		}, []int{0, 60, 180}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				a := &acquaintance{client: &test.paymentd, patience: time.Second, ctx: ctx, doubt: wait.NewBell()}
				a.trust = func(context.Context, Told) (Reading, error) {
					return Read(time.Now(), time.Now(), time.Now()), nil
				}
				began := time.Now()
				go a.keep(ctx)
				for second := range 239 {
					synctest.Wait()
					test.each(a, second)
					wait.For(ctx, time.Second)
				}
				stop()
				synctest.Wait()
				var got []int
				for _, at := range test.paymentd.asked {
					got = append(got, int(at.Sub(began).Seconds()))
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got it asked at the seconds %v, want %v", got, test.want)
				}
			})
		})
	}
}

// every returns each so many seconds, from one on, of the first 240.
func every(step, first int) (seconds []int) {
	for s := first; s < 240; s += step {
		seconds = append(seconds, s)
	}
	return seconds
}
