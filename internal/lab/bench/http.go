package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	orderv1 "hosho/gen/order/v1"
)

// httpConnections are those of clients over HTTP, each for one call at a time: the door takes a thousand. Where there
// are more clients, some wait for a connection, and that is part of their calls' time.
const httpConnections = 900

// web places orders through orderd's JSON door.
type web struct {
	client http.Client
	orders string // the URL
}

// openWeb makes the client of an orderd that has such a door. The connections come with the calls, and are kept.
func (s *system) openWeb() (*web, error) {
	transport := &http.Transport{
		MaxConnsPerHost: httpConnections, MaxIdleConnsPerHost: httpConnections, DisableCompression: true,
	}
	w := &web{http.Client{Transport: transport}, "http://" + s.Orderd.HTTPAddress + "/v1/orders"}
	if !s.config.TLS {
		return w, nil
	}
	var err error
	transport.TLSClientConfig, err = s.shop()
	w.orders = "https://" + s.Orderd.HTTPAddress + "/v1/orders"
	return w, err
}

// shop is the handshake of the one whose orders they are, from his files, as any client has it.
func (s *system) shop() (*tls.Config, error) {
	files := s.Files("shop")
	own, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	authorities, err := os.ReadFile(files.CA)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, RootCAs: x509.NewCertPool()}
	if !c.RootCAs.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s: got no certificate", files.CA)
	}
	return c, nil
}

// create is CreateOrder over HTTP: its request_id is the Idempotency-Key. An error is the status that a gRPC client
// gets. Its RetryInfo is what the header Retry-After is rounded from.
func (w *web) create(
	ctx context.Context, order *orderv1.CreateOrderRequest, _ ...grpc.CallOption,
) (*orderv1.CreateOrderResponse, error) {
	request, err := w.request(ctx, order)
	if err != nil {
		return nil, err
	}
	answer, err := w.client.Do(request)
	if err != nil {
		return nil, lost(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, lost(err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, refusal(answer.Status, text)
	}
	reply := &orderv1.CreateOrderResponse{}
	if err := protojson.Unmarshal(text, reply); err != nil {
		return nil, fmt.Errorf("got %s and %.200q, want an order: %w", answer.Status, text, err)
	}
	return reply, nil
}

func (w *web) request(ctx context.Context, order *orderv1.CreateOrderRequest) (*http.Request, error) {
	said := proto.CloneOf(order)
	said.RequestId = nil
	body, err := protojson.Marshal(said)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.orders, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", order.GetRequestId())
	return r, nil
}

// lost is the error of a call of which nobody knows what became: as gRPC has it.
func lost(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Unavailable, err.Error())
}

// refusal is the status in a body.
func refusal(code string, text []byte) error {
	told := &spb.Status{}
	err := protojson.Unmarshal(text, told)
	if err == nil && told.GetCode() == int32(codes.OK) {
		err = errors.New("its code is OK")
	}
	if err != nil {
		return fmt.Errorf("got %s and %.200q, want the google.rpc.Status of an error: %w", code, text, err)
	}
	return status.ErrorProto(told)
}

// close closes the connections.
func (w *web) close() { w.client.CloseIdleConnections() }
