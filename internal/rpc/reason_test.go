package rpc

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	errorv1 "hosho/gen/error/v1"
)

// reasons is every reason as clients get it. They tell errors apart by these words: none is ever changed or taken away.
var reasons = map[errorv1.ErrorReason]string{
	1: "INVALID_FIELDS", 2: "NOT_READY", 3: "STOPPING", 4: "DATABASE_UNAVAILABLE", 5: "COMMIT_UNKNOWN", 6: "COLLISION",
	7: "DATABASE_FULL", 8: "INTERNAL",
	9: "ORDER_NOT_FOUND", 10: "REQUEST_ID_REUSED",
	11: "PAYMENT_NOT_FOUND", 12: "KEY_REUSED", 13: "REPLY_LOST", 14: "CARD_NETWORK_TIMEOUT", 15: "CARD_NETWORK_BUSY",
	16: "COMMAND_NOT_FOUND", 17: "NOT_PARKED",
	18: "DATABASE_MISCONFIGURED", 19: "WRONG_PAYMENTS_DATABASE",
	20: "OVERLOADED", 21: "DEADLINE_PASSED", 22: "CALL_CANCELLED", 23: "REPLIES_UNREAD",
	25: "NOT_THAT_PAYMENTS_DATABASE", 26: "NOT_ALLOWED", 27: "MALFORMED_REQUEST",
}

func TestTheReasonsOnTheWireNeverChange(t *testing.T) {
	t.Parallel()
	got := map[errorv1.ErrorReason]string{}
	for number := range errorv1.ErrorReason_name {
		if reason := errorv1.ErrorReason(number); reason != errorv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			got[reason] = ReasonName(reason)
		}
	}
	if diff := cmp.Diff(reasons, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

// A reason that nobody gives is a promise to clients that nothing keeps.
func TestEachReasonIsGiven(t *testing.T) {
	t.Parallel()
	source := &strings.Builder{}
	root := os.DirFS("../..")
	for _, dir := range []string{"internal/rpc", "orderd", "paymentd", "relay"} {
		err := fs.WalkDir(root, dir, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(root, name)
			source.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(reasons)) {
		name := "errorv1.ErrorReason_" + number.String()
		if !strings.Contains(source.String(), name+",") {
			t.Errorf("got no error with %s", name)
		}
	}
}
