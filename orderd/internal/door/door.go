// Package door is orderd's second door: the calls of order.v1.OrderService as JSON over HTTP/1.1, as proto/http.yaml
// names them.
//
// Its promise: a request becomes the very call that a gRPC client would make, or an error that says what is wrong with
// it. Nothing that is sent is passed over in silence: a field, a query parameter or a body that no call takes is
// refused, and so is what says one thing twice and differently. No header but Idempotency-Key and traceparent goes any
// further, and no browser is led here by another site.
//
// It decides nothing: whose a request is, what he may and whether there is room for it is said by the server behind it
// (rpc.HTTP).
package door

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	gatewayv1 "hosho/gen/gateway/order/v1"
	orderv1 "hosho/gen/order/v1"
)

// Config says what is served, and to whom.
type Config struct {
	// Hosts are those that a request may name as its own, without a port; nil: any. Where everybody is let in who
	// reaches the port, they are what tells a client of this machine from a browser that a foreign name has led here.
	Hosts []string
	// MaxBody is the largest body, in bytes.
	MaxBody int64
	// Registry is where the metrics go; it may be nil.
	Registry prometheus.Registerer
}

// New makes the door to the server at the other end of a connection.
func New(c Config, inner grpc.ClientConnInterface) (http.Handler, error) {
	d := &door{
		config: c, metrics: newMetrics(c.Registry), origins: http.NewCrossOriginProtection(),
		followers: newSeats(maxFollowers, "followers over HTTP"), lists: newSeats(maxLists, "lists over HTTP"),
	}
	d.calls = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, codec{}),
		runtime.WithIncomingHeaderMatcher(forwards),
		runtime.WithOutgoingHeaderMatcher(nothing), runtime.WithOutgoingTrailerMatcher(nothing),
		runtime.WithErrorHandler(d.failed),
		runtime.WithDisablePathLengthFallback(), runtime.WithDisableHTTPMethodOverride(),
	)
	client := orderv1.NewOrderServiceClient(asks{inner, d.followers})
	if err := gatewayv1.RegisterOrderServiceHandlerClient(context.Background(), d.calls, client); err != nil {
		return nil, fmt.Errorf("serve the calls: %w", err)
	}
	return d, nil
}

type door struct {
	config  Config
	calls   *runtime.ServeMux
	origins *http.CrossOriginProtection
	metrics *metrics

	followers, lists seats
}

// ServeHTTP answers a request: with a page, or with what the call answers that it is. No answer is kept by caches, nor
// taken for anything else than it is said to be.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := d.checkHost(r); err != nil {
		d.refuse(w, err)
		return
	}
	answer, known := pages[r.URL.Path]
	switch {
	case !known:
		d.call(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		d.refuse(w, &wrongMethod{r.Method, r.URL.Path, []string{http.MethodGet, http.MethodHead}})
	default:
		answer(w, r)
	}
}

// call has a request be a call, if it is one.
func (d *door) call(w http.ResponseWriter, r *http.Request) {
	asked, err := d.read(w, r)
	if err != nil {
		d.refuse(w, err)
		return
	}
	controller := http.NewResponseController(w)
	if err := controller.SetReadDeadline(time.Time{}); err != nil { // all is read: now its client may wait
		d.refuse(w, err)
		return
	}
	leave := func() {}
	switch {
	case asked.route.streams:
		w = &slowly{ResponseWriter: w, controller: controller}
		leave, err = d.followers.take()
	case asked.route.lists:
		leave, err = d.lists.take()
	}
	if err != nil {
		d.refuse(w, err)
		return
	}
	defer leave()
	d.calls.ServeHTTP(w, asked.request)
}

// failed answers a call that did not go well.
func (d *door) failed(
	_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error,
) {
	d.refuse(w, unread(err))
}

// forwards says which headers go on to the server, and as what. There are no others by then.
func forwards(header string) (string, bool) { return "traceparent", header == "Traceparent" }

func nothing(string) (string, bool) { return "", false }
