package logline

import (
	"testing"
	"time"
)

// The time of a line is that of slog, also where the line before was of another second or another zone.
func TestATimeIsWrittenAsSlogWritesIt(t *testing.T) {
	t.Parallel()
	tokyo, delhi := time.FixedZone("", 9*60*60), time.FixedZone("", 5*60*60+30*60)
	var s stamps
	second := time.Date(2026, 12, 31, 23, 59, 58, 0, time.UTC)
	for ; second.Year() < 2028; second = second.Add(time.Second) {
		for _, at := range []time.Time{
			second, second.Add(1), second.Add(120_000_000), second.Add(999_999_999), second.Add(100),
			second.In(tokyo), second.Add(98_765_432).In(delhi), second.Add(10),
		} {
			got, dated := s.add([]byte("at "), at)
			if want := "at " + at.Format(time.RFC3339Nano); string(got) != want || !dated {
				t.Fatalf("got %s, dated %t; want %s", got, dated, want)
			}
		}
		if second.Second() == 1 {
			second = second.Add(100 * 24 * time.Hour)
		}
	}
}
