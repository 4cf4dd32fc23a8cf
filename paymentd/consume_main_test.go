package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"testing"

	paymentv1 "hosho/gen/payment/v1"
	"hosho/internal/broker/connect"
	"hosho/internal/daemon"
	"hosho/internal/paymentdb"
	"hosho/internal/pgtest"
)

// A paymentd that is given a broker takes events from it beside its calls, and says at the start what its topics
// promise. It stops in order.
func TestAPaymentdTakesEventsWhereItIsGivenABroker(t *testing.T) {
	overBrokers(t, func(t *testing.T, kind string) {
		db := pgtest.Payments(t)
		s := openShop(t, kind)
		s.system = &system{db: db, log: newLogLines()}
		served := &serve{
			Database:   daemon.Database{DatabaseURL: db.As(t, paymentdb.Needs()).URL},
			Durability: daemon.Durability{AllowUnsafeDurability: true},
			Listen:     daemon.Listen{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0"},
			Broker:     connect.Flags{BrokerURL: s.url, BrokerPrefix: s.prefix},
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- served.Run(ctx, slog.New(slog.NewJSONHandler(s.log, nil))) }()
		c := newCharge(500)
		s.say(placed(c, 1))
		s.hearCharged([]*paymentv1.ChargePaymentRequest{c})
		if b := s.log.await("broker"); b["kind"] != kind || b["prefix"] != s.prefix || b["addresses"] == nil {
			t.Errorf("got %v at the start, want the broker that it takes events from", b)
		}
		s.log.await("a topic may lose what its broker confirmed")
		text := metricsAt(t, s.log.await("serving")["admin"].(string))
		for _, want := range []string{
			`hosho_broker_published_total{result="confirmed",type="PaymentCharged"} 1`,
			`hosho_inbox_events_total{fate="dead"} 0`, `hosho_alarms_total{cause="another_orders_database"} 0`,
		} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("got no metric %s", want)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("paymentd ended with %v", err)
		}
	})
}

func metricsAt(t *testing.T, address string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(reply.Body); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// A paymentd whose broker was forgotten says that it takes no events, which is why orders over one would wait.
func TestAPaymentdWithoutABrokerSaysSo(t *testing.T) {
	t.Parallel()
	log := newLogLines()
	served := &serve{Broker: connect.Flags{BrokerPrefix: "hosho"}}
	c, err := served.consumer(&server{log: slog.New(slog.NewJSONHandler(log, nil))}, nil)
	if c != nil || err != nil {
		t.Errorf("got a consumer %v, %v, want none", c, err)
	}
	log.await("takes no events: no broker is given")
}
