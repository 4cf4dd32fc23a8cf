package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// doc/operations.md tells the bounds that are orderd's own.
func TestThePageOfLimitsSaysWhatStreamsAndWaitsMayTake(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../doc/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		fmt.Sprintf("who waits for an order's end.*%d,000, and %d MiB", maxWatchers/1000, maxUnread>>20),
		fmt.Sprintf("a wait for an order's end .*%.0f s, and %d ms", maxWait.Seconds(), answerAhead.Milliseconds()),
		fmt.Sprintf("streams of orders .*%d, %d of a connection", maxStreams, maxStreamsEach),
		fmt.Sprintf("streams of orders .*, %.0f min each", maxStreamAge.Minutes()),
		fmt.Sprintf("a request of such a stream .*1 to %d orders", maxOrders),
		fmt.Sprintf("orders of such a stream .*%d KiB of requests", maxUntaken>>10),
		fmt.Sprintf("orders of such a stream .*; %d,000 ends", maxUnsettled/1000),
		fmt.Sprintf("orders of such a stream .*; %d,%03d of all streams", maxPlacing/1000, maxPlacing%1000),
	} {
		if !regexp.MustCompile(`(?m)^\| ` + row).Match(text) {
			t.Errorf("the table of limits has no row like %q", row)
		}
	}
}
