package rpc

import (
	"strings"
	"testing"
)

func TestTargetsThatCanNeverWorkAreRefused(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"127.0.0.1:50052":              "",
		"[::1]:50052":                  "",
		"[fe80::1%eth0]:50052":         "",
		"paymentd:50052":               "",
		"payments_internal.example.:1": "",
		"localhost:http":               "", // a port may have a name
		"dns:///paymentd:50052":        "",
		"dns:paymentd:50052":           "",
		"dns://8.8.8.8/paymentd:50052": "",
		"passthrough:///paymentd:1":    "",
		"unix:/run/paymentd":           "",
		"unix:///run/paymentd":         "",
		"unix-abstract:paymentd":       "",

		"":                        "it is empty",
		" ":                       "missing port",
		"http://127.0.0.1:50052":  "it has a scheme",
		"https://127.0.0.1:50052": "it has a scheme",
		"grpc://127.0.0.1:50052":  "it has a scheme",
		"tcp://127.0.0.1:50052":   "it has a scheme",
		"127.0.0.1":               "missing port",
		"paymentd":                "missing port",
		"127.0.0.1:":              "it has no port",
		":50052":                  "it has no host",
		"127.0.0.1:0":             "nobody listens on port 0",
		"127.0.0.1:65536":         `there is no port "65536"`,
		"127.0.0.1:-1":            `there is no port "-1"`,
		"127.0.0.1:50052/":        `there is no port "50052/"`,
		"localhost:port":          `there is no port "port"`,
		" 127.0.0.1:50052":        `" 127.0.0.1" is neither a name nor an IP address`,
		"127.0.0.1:50052 ":        `there is no port "50052 "`,
		"127.0.0.256:50052":       "is neither a name nor an IP address",
		"user@paymentd:50052":     "is neither a name nor an IP address",
		"a,b:50052":               "is neither a name nor an IP address",
		"::1:50052":               "too many colons",
		"dns:///paymentd":         "missing port", // gRPC would take 443
		"dns:50052":               "missing port",
		"dns:///:50052":           "it has no host",
		"unix:":                   "want unix:/path",
		"unix://run/paymentd":     "want unix:/path",
	} {
		err := CheckTarget(target)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", target, err, want)
		}
	}
}

func TestAddressesThatCanNeverBeListenedOnAreRefused(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:50051": "",
		"127.0.0.1:0":     "",
		"0.0.0.0:50051":   "",
		"[::]:50051":      "",
		":50051":          "",

		"":                        "it is empty",
		":":                       "it has no port",
		"50051":                   "missing port",
		"127.0.0.1":               "missing port",
		"http://127.0.0.1:50051":  "it has a scheme",
		"unix:/run/orderd":        `there is no port "/run/orderd"`,
		"127.0.0.1:orders":        `there is no port "orders"`,
		"127.0.0.1:50051,[::1]:1": "too many colons",
	} {
		err := CheckListen(address)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", address, err, want)
		}
	}
}

// Nobody can be dialled at every interface, and on port 0 nobody is.
func TestWhatListensOnEveryInterfaceIsReachedOnLoopback(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"0.0.0.0:50051":      "127.0.0.1:50051",
		":50051":             "127.0.0.1:50051",
		"[::]:50051":         "[::1]:50051",
		"127.0.0.1:50051":    "127.0.0.1:50051",
		"192.0.2.1:50051":    "192.0.2.1:50051",
		"orderd.example:443": "orderd.example:443",
		"127.0.0.1:0":        "",
	} {
		got, err := Reachable(listen)
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: got %q, %v; want %q", listen, got, err, want)
		}
	}
}
