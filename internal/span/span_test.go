package span_test

import (
	"math"
	"testing"
	"time"

	"hosho/internal/span"
)

func TestADurationIsToldInTwoUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                              "0s",
		1540 * time.Microsecond:        "1.5ms",
		312 * time.Millisecond:         "312ms",
		999_999_999:                    "1s",
		2345678 * time.Microsecond:     "2.346s",
		-7 * time.Second:               "-7s",
		time.Minute:                    "1m0s",
		17*time.Minute + 3999999999:    "17m3s",
		time.Hour:                      "1h0m",
		26*time.Hour + 899*time.Second: "26h14m",
		1203*time.Hour + time.Minute:   "50d3h",
		8760 * time.Hour:               "365d0h",
		math.MaxInt64:                  "106751d23h",
		math.MinInt64:                  "-106751d23h",
	} {
		if got := span.Text(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
