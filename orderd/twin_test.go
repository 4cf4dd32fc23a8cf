package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orderv1 "hosho/gen/order/v1"
)

// written are the two ways in which JSON may say a message: in the names that JSON has, what is unset left out, and in
// those of the proto files, with all there is.
var written = []protojson.MarshalOptions{{}, {UseProtoNames: true, EmitUnpopulated: true}}

// wantTwin checks that JSON is answered what a call was answered that failed, to the letter.
func wantTwin(t *testing.T, native error, a answered) {
	t.Helper()
	want := status.Convert(native)
	if code := runtime.HTTPStatusFromCode(want.Code()); a.code != code {
		t.Errorf("as JSON: got %d %s, want %d", a.code, a.body, code)
	}
	if got := status.Convert(a.err(t)); !proto.Equal(got.Proto(), want.Proto()) {
		t.Errorf("as JSON: got %v, want %v", got.Proto(), want.Proto())
	}
}

// refusesTwin sends an order as JSON, which is to be refused as the call was, or, where JSON comes to something else,
// with that code.
func (d *doored) refusesTwin(t *testing.T, native error, create *orderv1.CreateOrderRequest, instead int) {
	t.Helper()
	for _, how := range written {
		a := d.send(t, "POST", "/v1/orders", jsonOf(t, how, create))
		if instead > 0 {
			wantStatus(t, a, instead, "MALFORMED_REQUEST", "")
			continue
		}
		wantTwin(t, native, a)
	}
}

// acceptsTwin sends an order again, as JSON. That is the same request if every field comes to the same, and is answered
// the order that there is; else it would be told REQUEST_ID_REUSED.
func (d *doored) acceptsTwin(t *testing.T, create *orderv1.CreateOrderRequest, want *orderv1.Order) {
	t.Helper()
	for _, how := range written {
		if got := d.order(t, jsonOf(t, how, create)); !proto.Equal(got, want) {
			t.Errorf("as JSON: got %v, want %v", got, want)
		}
	}
	var got orderv1.GetOrderResponse
	d.send(t, "GET", "/v1/orders/"+want.GetOrderId(), "").into(t, &got)
	if !proto.Equal(got.GetOrder(), want) {
		t.Errorf("as JSON: got %v, want %v", &got, want)
	}
}

func jsonOf(t *testing.T, how protojson.MarshalOptions, m proto.Message) string {
	t.Helper()
	text, err := how.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// oneOrder is the method and the path of a call about an order, by the name of the call.
func oneOrder(call, id string) (method, path string) {
	path = "/v1/orders/" + url.PathEscape(id)
	switch call {
	case "CancelOrder":
		return http.MethodPost, path + ":cancel"
	case "WatchOrder":
		return http.MethodGet, path + ":watch"
	}
	return http.MethodGet, path
}

// listPath asks for a page of orders.
func listPath(list *orderv1.ListOrdersRequest) string {
	query := url.Values{}
	list.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		text := value.String()
		if field.Enum() != nil {
			text = strconv.Itoa(int(value.Enum()))
		}
		query.Set(field.JSONName(), text)
		return true
	})
	return "/v1/orders?" + query.Encode()
}

// leave sends an order, and goes when ctx ends, if it is not answered before.
func (d *doored) leave(ctx context.Context, t *testing.T, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/v1/orders", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if reply, err := d.http.Do(r); err == nil {
		reply.Body.Close()
	}
}
