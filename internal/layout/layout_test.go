package layout

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// table is the rules. Beside the standard library, a package imports what its row says and nothing else: these modules
// of others (* is any), and these packages of hosho. A row names packages of its own layer and of the layers below, and
// goes on in lines that name no package. internal/ is left out, and so are versions. A package without a row fails the
// test.
const table = `
package    | of others     | of hosho

tools
sagactl    | *             | authority broker broker/connect console daemon failpoint follow gen/... identity lab/...
           |               | migrations order pg plain policy proc reconcile roles rpc span story terminal version wait

laboratory
lab/bench     | *          | command gen/order lab/collector lab/invariant lab/load lab/stack order pg pgembed
              |            | proc rpc wait
lab/alerts    |            | lab/mutant lab/stack observe proc wait
lab/chaos     | *          | authority broker command failpoint gen/error gen/order gen/relay lab/alerts lab/brokers
              |            | lab/hostile lab/invariant lab/load lab/measured lab/middleman lab/proxy lab/stack
              |            | migrations order pg pgembed proc rpc rules wait
lab/demo      | *          | follow gen/... lab/invariant lab/stack money pg proc rules story terminal wait
lab/hostile   | *          | gen/order gen/payment rpc wait
lab/middleman | *          | gen/payment identity proc rpc wait
lab/mutant    |            | lab/stack rules
lab/load      | *          | command gen/order order rules wait
lab/fuzz      | *          |
lab/collector | *          |
lab/brokers/brokertest | * | lab/brokers proc
lab/brokers   |            | proc wait
lab/stage     | *          | console lab/demo lab/invariant lab/proxy lab/stack migrations pg pgembed wait
lab/stack     | *          | authority broker broker/connect failpoint identity lab/brokers migrations pg pgembed policy
              |            | proc roles rpc
lab/invariant | pgx        | money rules
lab/measured  | *          |
lab/proxy     |            | proc wait

around
console    | grpc protobuf text uuid | console/board follow gen/... money order plain reconcile rpc span story wait
console/board |             | gen/...
reconcile  | pgx prometheus | command money order orderdb outbox payment pg span wait
pgtest     | *             | migrations pg pgembed proc
pgembed    | *             | proc wait
proc       |               |
observe    |               |
layout     |               |
doctest    |               |
slow       |               |
story      | grpc protobuf | gen/... money span
money      | currency      |
follow     | grpc          | gen/event rpc wait
terminal   | *             | plain

main
orderd     | *             | admission crew gen/error gen/event gen/money gen/order command daemon events identity
           |               | logline migrations order orderdb orderd/internal/door outbox page pg policy protoread
           |               | protowrite rpc trace validate wait
relay      | *             | admission batch broker broker/connect class command daemon digest envelope events
           |               | gen/error gen/event gen/events gen/money gen/payment gen/relay identity inbox logline
           |               | migrations order orderdb outbox page pg plain relay/internal/dispatch
           |               | relay/internal/publish rpc scrape trace validate wait
paymentd   | *             | admission batch broker broker/connect card class crew daemon digest envelope events
           |               | gen/error gen/events gen/money gen/payment identity inbox logline migrations page payment
           |               | paymentdb pg policy protoread protowrite rpc trace validate

server
orderd/internal/door | * | admission gen/error gen/gateway/order gen/order rpc
relay/internal/dispatch | * | class command crew failpoint gen/error gen/money gen/payment order outbox protoread rpc
           |               | trace wait
relay/internal/publish | * | broker crew envelope gen/events order outbox relay/internal/dispatch trace
class      | grpc          | gen/error rpc
daemon     | *             | identity logline migrations pg plain policy rpc scrape version wait
inbox      | prometheus    | broker digest failpoint wait
envelope   | protobuf uuid | broker gen/events
broker/connect | prometheus protobuf | broker broker/kafka broker/nats broker/rabbitmq digest gen/events wait
broker/kafka | franz       | broker broker/shelf wait
broker/nats | nats         | broker broker/shelf
broker/rabbitmq | amqp     | broker broker/shelf wait
broker/shelf |             | broker
broker     |               |
events     | *             | gen/event gen/order gen/payment gen/relay logline order payment policy protowrite rpc wait
policy     | grpc          | gen/event gen/order gen/payment gen/relay identity order reload rpc validate
rpc        | *             | admission crew digest gen/error identity logline pg validate version wait
trace      | *             | version
identity   | *             | reload
authority  |               |
reload     | *             | wait
scrape     | *             |
command    | protobuf      | gen/money gen/payment order protoread
protoread  | protobuf      | gen/money gen/payment
protowrite | protobuf      |
page       | protobuf uuid | validate
validate   | currency uuid | plain
gen/gateway/... | *        | gen/order
gen/...    | grpc protobuf | gen/...

database
roles      | pgx           | migrations pg
orderdb    | pgx prometheus uuid | batch failpoint order outbox pg
paymentdb  | pgx           | failpoint payment pg
outbox     | pgx prometheus uuid | batch failpoint pg wait
card       |               | payment
pg         | pgx prometheus | crew wait
migrations | goose pgx     | pg wait

domain
admission  |               |
batch      |               | wait
digest     |               |
order      |               |
payment    |               |
crew       |               |
failpoint  |               |
logline    |               |
rules      |               |
version    |               |
plain      |               |
span       |               |
wait       |               |
`

// inTests is what the tests of a package import of hosho besides. Any test may import pgtest, for a database of its
// own, slow, authority, for certificates, and the laboratory. Of other modules tests may import any.
var inTests = map[string]string{
	"lab/brokers":   "broker broker/connect",
	"inbox":         "broker/connect", // and real brokers
	"broker/nats":   "wait",           // likewise
	"lab/hostile":   "gen/money gen/relay proc",
	"lab/middleman": "gen/money",
	"lab/demo":      "rpc",
	"lab/stack":     "gen/order gen/payment gen/relay pg",
	"lab/proxy":     "pg",
	"pg":            "pgembed", // a server and its standby
	"doctest":       "gen/order proc",
	"sagactl":       "migrations pgembed proc",
	"reconcile":     "gen/money gen/order gen/payment migrations pg roles rpc rules",
	"relay":         "gen/money payment paymentdb", // whose tests ask the other side what it stored
	"rpc":           "gen/order",                   // a service to be called
	"orderdb":       "command",
	"events":        "gen/money",
	"envelope":      "gen/money",
	"roles":         "orderdb paymentdb",
	"protowrite":    "gen/money gen/payment gen/relay",                  // which messages may be written
	"paymentd":      "authority command gen/event gen/relay order wait", // whose tests send what a relay would
	"migrations":    "orderdb paymentdb",
	"order":         "payment rules", // the two state machines, checked together
	"rules":         "order payment", // doc/rules.md shows their tables

	"relay/internal/publish": "broker/connect command gen/money", // and real brokers
}

// laboratory is what breaks and measures the system: nothing but sagactl and tests imports it.
const laboratory = "lab/..."

func mayImportLaboratory(f file, r row) bool {
	return f.isTest() || r.name == "sagactl" || r.layer == "laboratory"
}

// modules are the names of the table's second column.
var modules = map[string]string{
	"amqp":       "github.com/rabbitmq/amqp091-go",
	"currency":   "github.com/bojanz/currency",
	"franz":      "github.com/twmb/franz-go",
	"goose":      "github.com/pressly/goose/v3",
	"grpc":       "google.golang.org/grpc",
	"nats":       "github.com/nats-io/nats.go",
	"pgx":        "github.com/jackc/pgx/v5",
	"prometheus": "github.com/prometheus/client_golang",
	"protobuf":   "google.golang.org/protobuf",
	"text":       "golang.org/x/text",
	"uuid":       "github.com/google/uuid",
}

// codes are the packages that name gRPC's status codes. A daemon gives them in its errors.go alone, orderd's JSON door
// in its own, where the relay's dispatch reads paymentd's; class says what these mean. The tools, the traces, the story
// and who follows events only look at what they were given.
var codes = []string{"google.golang.org/grpc/codes", "google.golang.org/genproto/googleapis/rpc/code"}

func mayNameCodes(f file, r row) bool {
	return f.isTest() || r.layer == "tools" || r.layer == "laboratory" || strings.HasPrefix(r.name, "gen/") ||
		slices.Contains([]string{"class", "story", "follow", "rpc", "trace"}, r.name) ||
		(r.layer == "main" || strings.Contains(r.name, "/internal/")) && path.Base(f.path) == "errors.go"
}

func TestImports(t *testing.T) {
	rules := parse(t, table)
	for _, f := range sources(t, filepath.Join("..", "..")) {
		for _, finding := range rules.check(f) {
			t.Error(finding)
		}
	}
}

func TestTheTablePointsDown(t *testing.T) {
	for _, finding := range parse(t, table).upward() {
		t.Error(finding)
	}
}

// TestNoStalePermission keeps the table as narrow as the code.
func TestNoStalePermission(t *testing.T) {
	for _, finding := range parse(t, table).stale(sources(t, filepath.Join("..", ".."))) {
		t.Error(finding)
	}
}

func TestStalePermissionsAreFound(t *testing.T) {
	files := []file{{"a/main.go", []string{"github.com/jackc/pgx/v5/pgxpool", "hosho/internal/b"}}}
	got := parse(t, "main\na | goose pgx | b c\ndomain\nb | |\nc | |").stale(files)
	want := []string{"the table lets a import goose, which it does not", "the table lets a import c, which it does not"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUpwardIsFound(t *testing.T) {
	got := parse(t, "main\na | | b c\ndatabase\nb | | a\nc | |").upward()
	if want := []string{"the table lets b (database) import a (main), which is above it"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestForbiddenImportsAreFound shows that the test above can fail, and holds the rules that a changed row must not
// lose.
func TestForbiddenImportsAreFound(t *testing.T) {
	tests := []struct{ file, imports, want string }{
		{"internal/order/apply.go", "time", ""},
		{"internal/order/apply.go", "github.com/google/uuid", "order imports the module"},
		{"internal/payment/payment.go", "hosho/internal/order", "payment imports order"},
		{"internal/outbox/claim.go", "github.com/jackc/pgx/v5/pgxpool", ""},
		{"internal/outbox/claim.go", "hosho/gen/order/v1", "outbox imports gen/order"},
		{"internal/outbox/claim.go", "hosho/internal/order", "outbox imports order"},
		{"internal/outbox/claim.go", "google.golang.org/grpc", "outbox imports the module"},
		{"internal/outbox/claim_test.go", "pgregory.net/rapid", ""},
		{"internal/outbox/claim_test.go", "hosho/internal/order", "outbox imports order"},
		{"internal/orderdb/place.go", "hosho/gen/order/v1", "orderdb imports gen/order"},
		{"internal/orderdb/place.go", "hosho/internal/rpc", "orderdb imports rpc"},
		{"internal/orderdb/place.go", "hosho/internal/pgtest", "orderdb imports pgtest"},
		{"internal/orderdb/place_test.go", "hosho/internal/orderdb", ""},
		{"internal/orderdb/place_test.go", "hosho/internal/pgtest", ""},
		{"orderd/server.go", "hosho/gen/payment/v1", "orderd imports gen/payment"},
		{"orderd/server.go", "hosho/internal/payment", "orderd imports payment"},
		{"relay/handler.go", "hosho/internal/paymentdb", "relay imports paymentdb"},
		{"relay/handler.go", "hosho/orderd", "relay imports orderd"},
		{"internal/paymentdb/charge.go", "hosho/internal/card", "paymentdb imports card"},
		{"internal/card/simulation.go", "hosho/internal/paymentdb", "card imports paymentdb"},
		{"paymentd/server.go", "hosho/internal/order", "paymentd imports order"},
		{"paymentd/server.go", "hosho/internal/orderdb", "paymentd imports orderdb"},
		{"paymentd/server.go", "hosho/internal/outbox", "paymentd imports outbox"},
		{"paymentd/server.go", "hosho/internal/command", "paymentd imports command"},
		{"paymentd/main.go", "hosho/internal/pgembed", "paymentd imports pgembed"},
		{"migrations/migrations.go", "hosho/internal/rpc", "migrations imports rpc"},
		{"paymentd/server.go", "google.golang.org/grpc/codes", "names gRPC codes"},
		{"paymentd/server_test.go", "google.golang.org/grpc/codes", ""},
		{"paymentd/errors.go", "google.golang.org/grpc/codes", ""},
		{"relay/outcome.go", "google.golang.org/genproto/googleapis/rpc/code", "names gRPC codes"},
		{"relay/internal/dispatch/errors.go", "google.golang.org/grpc/codes", ""},
		{"relay/internal/dispatch/stream.go", "google.golang.org/grpc/codes", "names gRPC codes"},
		{"relay/internal/dispatch/stream.go", "hosho/internal/orderdb", "dispatch imports orderdb"},
		{"orderd/server.go", "hosho/relay/internal/dispatch", "orderd imports relay/internal/dispatch"},
		{"internal/newcomer/new.go", "time", "newcomer has no row"},
		{"internal/reconcile/sweep.go", "hosho/internal/lab/invariant", "reconcile imports the laboratory"},
		{"internal/reconcile/sweep_test.go", "hosho/internal/lab/stack", ""},
		{"sagactl/demo.go", "hosho/internal/lab/stack", ""},
	}
	rules := parse(t, table)
	for _, tt := range tests {
		t.Run(tt.file+" "+tt.imports, func(t *testing.T) {
			got := strings.Join(rules.check(file{tt.file, []string{tt.imports}}), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
