package bench

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantiles(t *testing.T) {
	t.Parallel()
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	upTo := func(n int64) (all []time.Duration) {
		for i := int64(1); i <= n; i++ {
			all = append(all, us(i))
		}
		return all
	}
	tests := []struct {
		name string
		of   []time.Duration
		q    float64
		want time.Duration
	}{
		{"nothing", nil, 0.5, 0},
		{"one", []time.Duration{us(7)}, 0.01, us(7)},
		{"one", []time.Duration{us(7)}, 1, us(7)},
		{"the lower one of two", []time.Duration{us(3), us(9)}, 0.5, us(3)},
		{"a hundred", upTo(100), 0.5, us(50)},
		{"a hundred", upTo(100), 0.9, us(90)},
		{"a hundred", upTo(100), 0.99, us(99)},
		{"a hundred", upTo(100), 1, us(100)},
		{"one of a hundred is slow", append(upTo(99), time.Second), 0.99, us(99)},
		{"one of a hundred is slow", append(upTo(99), time.Second), 1, time.Second},
		{"the largest is exact", []time.Duration{us(123_457)}, 0.5, us(123_457)},
		{"too long to be told", []time.Duration{1000 * time.Hour}, 0, us(1<<largestBit - 1)},
	}
	for _, tt := range tests {
		var h histogram
		for _, d := range tt.of {
			h.add(d)
		}
		if got := h.quantile(tt.q); got != tt.want {
			t.Errorf("%s: the quantile %v is %v, want %v", tt.name, tt.q, got, tt.want)
		}
	}
}

// Whatever the duration, what is told of it is at most a 128th too large, and never too small.
func TestABucketTellsItsDurations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(0, 1<<largestBit-1).Draw(t, "us")
		most := largestIn(bucketOf(us))
		if most < us || most > us+us/steps {
			t.Errorf("%d us: told as %d", us, most)
		}
		if next := bucketOf(most + 1); most+1 < 1<<largestBit && next != bucketOf(us)+1 {
			t.Errorf("%d us and the next bucket's %d: in %d and %d", us, most+1, bucketOf(us), next)
		}
	})
}
