package console

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "hosho/gen/money/v1"
	orderv1 "hosho/gen/order/v1"
	paymentv1 "hosho/gen/payment/v1"
	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/reconcile"
	"hosho/internal/story"
)

// hostile is what somebody sends who wants a script of his own to run, and digits turned round.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>` + "\u202e99\x1b[2J"

// told is an order of which everything that others choose is a text.
func told(text string) story.Story {
	at, money := timestamppb.New(time.Unix(1_700_000_000, 0)), &moneyv1.Money{CurrencyCode: "JPY", AmountMinor: 600}
	return story.Story{
		OrderID: "0190b6a4-7c5e-7d3a-8f00-0123456789ab",
		Order: &orderv1.Order{
			CustomerId: text, Total: money, Status: orderv1.Order_STATUS_PENDING, CreateTime: at, UpdateTime: at,
			DeadlineTime: at, Items: []*orderv1.Item{{Name: text, Quantity: 1, UnitPrice: 600}},
		},
		Delivery: &relayv1.ExplainOrderResponse{
			Attempts: []*relayv1.Attempt{{
				Kind: relayv1.ParkedCommand_KIND_CHARGE, CreateTime: at, Relay: text, Rpc: text, Code: text,
				TraceId: text, Meaning: relayv1.Attempt_MEANING_CONFLICT,
			}},
			Commands: []*relayv1.ParkedCommand{{
				OrderId: text, Kind: relayv1.ParkedCommand_KIND_CHARGE, LastCode: text, ParkTime: at, CreateTime: at,
				Why: relayv1.ParkedCommand_WHY_PARKED, TraceId: text,
			}},
			Changes: []*relayv1.StatusChange{{
				From: relayv1.StatusChange_STATUS_PENDING, To: relayv1.StatusChange_STATUS_CANCELLING, CreateTime: at,
				Cause: text, Who: text, TraceId: text,
			}},
			Retries:  []*relayv1.OperatorRetry{{Operator: text, Reason: text, CreateTime: at}},
			Decision: &relayv1.OperatorDecision{Operator: text, Reason: text, CreateTime: at},
		},
		Payment: &paymentv1.GetPaymentResponse{Payment: &paymentv1.Payment{
			CustomerId: text + "!", Amount: money, CreateTime: at, UpdateTime: at,
		}},
		Silent: []story.Silence{{Service: story.Orderd, Err: errors.New(text)}},
	}
}

// Whatever others sent is text on an order's page, in each language, and all of it is seen.
func TestWhatOthersSentIsTextOnAnOrdersPage(t *testing.T) {
	t.Parallel()
	c, err := New(Config{Token: aToken, ShowCustomers: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"en", "ja"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/orders/x", nil)
		w := httptest.NewRecorder()
		v := &visit{Request: r, w: w, view: c.render.of(lang), may: true, form: true}
		if err := v.show("order", c.orderPage(v, told(hostile), notice{})); err != nil {
			t.Fatal(err)
		}
		page := w.Body.String()
		for _, never := range []string{"<script>", "<img", "\u202e", "\x1b"} {
			if strings.Contains(page, never) {
				t.Errorf("%s: got %q in\n%s", lang, never, page)
			}
		}
		if want := "&lt;script&gt;alert(1)&lt;/script&gt;"; !strings.Contains(page, want) {
			t.Errorf("%s: got\n%s\nwant the text shown, %s", lang, page, want)
		}
	}
}

// What reconcile found is text as well, and few of many are shown.
func TestWhatReconcileFoundIsText(t *testing.T) {
	t.Parallel()
	const many = 1000
	c, err := New(Config{Token: aToken, ShowCustomers: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	c.looks.begin("ada", time.Now(), func(context.Context, *looks) (reconcile.Summary, error) {
		defer close(ended)
		for range many {
			f := reconcile.Finding{Class: reconcile.Stuck, OrderID: "x", Found: hostile, Todo: hostile}
			if err := c.looks.found(f); err != nil {
				return reconcile.Summary{}, err
			}
		}
		return reconcile.Summary{Findings: map[reconcile.Class]int64{reconcile.Stuck: many}}, nil
	})
	<-ended
	eventually(t, "it has ended", func() bool { last, _ := c.looks.last(); return !last.Running() })
	r, w := httptest.NewRequestWithContext(t.Context(), "GET", "/agree", nil), httptest.NewRecorder()
	r.Host = "localhost"
	c.ServeHTTP(w, r)
	page := w.Body.String()
	if got := strings.Count(page, "<pre>"); got != mostShown || !strings.Contains(page, "980 more than are shown") {
		t.Errorf("got %d findings in\n%s\nwant %d, and how many more there are", got, page, mostShown)
	}
	for _, never := range []string{"<script>", "<img", "\u202e", "\x1b"} {
		if strings.Contains(page, never) {
			t.Errorf("got %q in\n%s", never, page)
		}
	}
}

// The picture of a void that failed for months has its beginning and its end.
func TestTheMiddleOfALongHistoryIsLeftOutOfThePicture(t *testing.T) {
	t.Parallel()
	say := viewOf(t, "en")
	for n, want := range map[int]int{1: 0, shownFirst + shownLast: 0, shownFirst + shownLast + 1: 1, 1000: 940} {
		all := make([]story.Moment, n)
		for i := range all {
			all[i] = story.Moment{Time: time.Unix(int64(i), 0), From: story.Relay, What: "x"}
		}
		rows, leftOut := say.lanes(all)
		if leftOut != want || len(rows) != n-want || !rows[len(rows)-1].Time.Equal(all[n-1].Time) {
			t.Errorf("%d moments: got %d rows and %d left out, want %d left out", n, len(rows), leftOut, want)
		}
		cuts := 0
		for _, r := range rows {
			if r.Cut {
				cuts++
			}
		}
		if got := cuts == 1; got != (want > 0) {
			t.Errorf("%d moments: got %d cuts, want one where some are left out", n, cuts)
		}
	}
}

// What the pages say of a class, and of what follows, is what sagactl says of it, in English to the letter.
func TestThePagesSayWhatSagactlSays(t *testing.T) {
	t.Parallel()
	english, japanese := wordsOf(t, "en"), wordsOf(t, "ja")
	view := viewOf(t, "en")
	for _, class := range reconcile.Classes {
		for part, want := range map[string]string{"means": class.Means, "do": class.Do} {
			if got := english.text("class." + string(class.Class) + "." + part); got != want {
				t.Errorf("%s: got %q, want %q", class.Class, got, want)
			}
		}
	}
	for _, name := range story.OutlookNames {
		if key := "outlook." + string(name); !english.has(key) || !japanese.has(key) {
			t.Errorf("there is no word %s", key)
		}
	}
	for _, name := range story.StepNames {
		if key := "next." + string(name); !english.has(key) {
			t.Errorf("there is no word %s", key)
		}
	}
	for number, name := range relayv1.ParkedCommand_Why_name {
		for _, part := range []string{"word", "means", "do"} {
			key := "why." + strings.TrimPrefix(name, "WHY_") + "." + part
			if number != 0 && !english.has(key) {
				t.Errorf("there is no word %s", key)
			}
		}
	}
	for _, name := range relayv1.Attempt_Meaning_name {
		if key := "meaning." + strings.TrimPrefix(name, "MEANING_"); !english.has(key) {
			t.Errorf("there is no word %s", key)
		}
	}
	at := timestamppb.New(time.Now().Add(time.Hour))
	for _, c := range []*relayv1.ParkedCommand{
		{ParkTime: at, DeadlineTime: at},
		{ParkTime: at},
		{LeaseEndTime: at},
		{NextAttemptTime: at},
		{},
		{NextAttemptTime: at, Why: relayv1.ParkedCommand_WHY_UNWANTED},
		{NextAttemptTime: timestamppb.New(time.Unix(0, 0))},
		{NextAttemptTime: at, Sends: 1},
		{NextAttemptTime: timestamppb.New(time.Unix(0, 0)), Sends: 3},
	} {
		if got, want := view.outlook(c), story.OutlookOf(c).String()+"."; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func viewOf(t *testing.T, lang string) *view {
	t.Helper()
	v, err := newView(lang)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
