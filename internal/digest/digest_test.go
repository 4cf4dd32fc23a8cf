package digest

import (
	"testing"
	"testing/synctest"
	"time"
)

// A thousand events of a kind come in a minute, and one of another. Each is told, by itself or with others.
func TestEveryEventIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const own, seconds, each = 3, 60, 17
		alone, together, lines := map[string]int{}, map[string]int{}, 0
		d := New(Config[string]{Own: own, Together: func(kind string, n int) {
			together[kind] += n
			lines++
		}})
		note := func(kind string) {
			if d.Tells(kind) {
				alone[kind]++
			}
		}
		note("rare")
		for range seconds {
			for range each {
				note("often")
			}
			<-time.After(time.Second)
		}
		d.Stop()
		if alone["rare"] != 1 || together["rare"] != 0 {
			t.Errorf("got the rare one told %d times and %d times with others, want once",
				alone["rare"], together["rare"])
		}
		intervals := int(seconds * time.Second / Interval)
		if alone["often"] > own*(intervals+1) || alone["often"]+together["often"] != seconds*each {
			t.Errorf("got %d told by themselves and %d together, want %d in all, and few by themselves",
				alone["often"], together["often"], seconds*each)
		}
		if lines > intervals+1 {
			t.Errorf("got %d lines of many, want one in %v", lines, Interval)
		}
	})
}

// Whoever comes again after an interval without it is told by himself again.
func TestAKindThatWasOverBeginsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := New(Config[string]{Own: 1, Together: func(kind string, n int) { t.Errorf("got %d of %s", n, kind) }})
		for range 3 {
			if !d.Tells("rare") {
				t.Error("got an event that is counted, want it told")
			}
			<-time.After(Interval + time.Second)
		}
		synctest.Wait()
		if n := d.held(); n != 0 {
			t.Errorf("got %d kinds kept, want none", n)
		}
		d.Stop()
	})
}

// held returns how many kinds are counted.
func (d *Digest[K]) held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.kinds)
}

func TestKindsWithoutEndAreOneKind(t *testing.T) {
	t.Parallel()
	rest := 0
	d := New(Config[int]{
		Own: 1, Most: 10, Rest: func(int) int { return -1 },
		Together: func(kind, n int) {
			if kind == -1 {
				rest += n
			}
		},
	})
	told := 0
	for n := range 1000 {
		if d.Tells(n) {
			told++
		}
	}
	if n := d.held(); n != 11 || told != 11 {
		t.Errorf("got %d kinds and %d told, want ten and one for the rest", n, told)
	}
	if d.Stop(); rest != 989 {
		t.Errorf("got %d of the rest told together, want 989", rest)
	}
}
