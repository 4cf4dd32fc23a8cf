package outbox

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestBackoffIsAtMostTwiceTheOneBeforeAndTheCap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "base"))
		backoff := Backoff{Base: base, Cap: base + time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "cap"))}
		tries := rapid.IntRange(0, 100).Draw(t, "tries")
		bound := backoff.Base
		for range min(tries-1, 64) {
			bound = min(2*bound, backoff.Cap)
		}
		if got := backoff.Delay(tries); got < 0 || got > bound {
			t.Errorf("got %v, want 0 to %v", got, bound)
		}
	})
}

// Full jitter: the waits are spread over the whole of what is allowed, and reach both its ends.
func TestBackoffIsSpread(t *testing.T) {
	t.Parallel()
	backoff := Backoff{Base: 10, Cap: 80}
	for tries, bound := range map[int]time.Duration{1: 10, 2: 20, 3: 40, 4: 80, 5: 80, 100: 80} {
		seen := map[time.Duration]bool{}
		for range 100_000 {
			seen[backoff.Delay(tries)] = true
		}
		if got, want := len(seen), int(bound)+1; got != want {
			t.Errorf("try %d: got %d different waits, want all %d up to %v", tries, got, want, bound)
		}
	}
}

// Calls are made, some are not answered, and time passes. However it goes, at each moment the retries that have come
// due are a tenth of the calls at most, and what the floor allows.
func TestRetriesStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(0, 0)
		now, calls := start, 0
		b := newBudget(now)
		var due []time.Time
		type made struct {
			at    time.Time
			calls int
		}
		history := []made{{now, 0}}
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "time")))
			},
			"calls": func(t *rapid.T) {
				n := rapid.IntRange(1, 1000).Draw(t, "calls")
				b.earn(now, n)
				calls += n
				history = append(history, made{now, calls})
			},
			"no answers": func(t *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(t, "retries") {
					due = append(due, now.Add(b.reserve(now)))
				}
			},
		})
		slices.SortFunc(due, time.Time.Compare)
		for i, at := range due {
			for len(history) > 1 && !history[1].at.After(at) {
				history = history[1:]
			}
			allowed := 10*(1+at.Sub(start).Seconds()) + float64(history[0].calls)/10
			if got := float64(i + 1); got > allowed+0.001 {
				t.Fatalf("got %v retries after %v and %d calls, want %v at most",
					got, at.Sub(start), history[0].calls, allowed)
			}
		}
	})
}

// A budget saves up for a burst, and no further.
func TestTheBudgetSavesForABurstOnly(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := newBudget(now)
	b.earn(now, 1_000_000)
	at := now.Add(time.Hour)
	for n := range int(retryBurst) {
		if wait := b.reserve(at); wait != 0 {
			t.Fatalf("retry %d waits %v, want none to", n, wait)
		}
	}
	for n := 1; n <= 20; n++ {
		if got, want := b.reserve(at), time.Duration(n)*time.Second/retryFloor; (got - want).Abs() > time.Microsecond {
			t.Errorf("retry %d after the burst waits %v, want %v", n, got, want)
		}
	}
}

// Messages that are too late earn nothing: no call was made for them.
func TestOnlyWhatIsSentEarnsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &greeter{}
		w := NewWorker(patient(), nil, g, discard)
		messages := make([]Message, 100)
		for i := range 40 {
			messages[i].Expired = true
		}
		w.deliver(t.Context(), messages, time.Now())
		g.answering.Wait()
		if got, want := w.budget.tokens, retryFloor+6; got != want {
			t.Errorf("got %v retries allowed, want %v: those of a second, and a tenth of the 60 calls", got, want)
		}
	})
}

// Reports that cannot be settled are kept, but for those whose lease is over: somebody else has their messages.
func TestAReportIsKeptUnlessItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := NewWorker(patient(), nil, &greeter{}, discard)
		held := Report{Message: Message{ID: 1}, until: time.Now().Add(time.Second)}
		over := Report{Message: Message{ID: 2}, until: time.Now().Add(-time.Second)}
		settled := Report{Message: Message{ID: 3}, until: held.until}
		w.inFlight = 3
		kept := w.done([]Report{held, over, settled}, []Report{held, over})
		if len(kept) != 1 || kept[0].Message.ID != 1 || w.inFlight != 1 {
			t.Errorf("got %+v and %d in flight, want the first only", kept, w.inFlight)
		}
	})
}

func TestTheBreakerOpensOnAStreakOfDifferentKeys(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	tests := []struct {
		name, events string // a to z: that key failed; !: a decision
		open         bool
	}{
		{"nothing", "", false},
		{"two keys", "ab", false},
		{"three keys", "abc", true},
		{"one key three times", "aaa", false},
		{"two keys, again and again", "ababab", false},
		{"a decision between them", "ab!c", false},
		{"three after a decision", "ab!cde", true},
		{"a decision closes it", "abc!", false},
		{"and the streak begins anew", "abc!ab", false},
		{"failures while it is open are not counted", "abcdef!ab", false},
		{"two ambiguous answers", "AB", true},
		{"one key twice", "AAA", false},
		{"a decision between the ambiguous ones", "A!B", false},
		{"each streak is its own", "abA", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := NewBreaker(3, 2)
			for _, event := range test.events {
				if event == '!' {
					b.Decided()
				} else if event < 'a' {
					b.Ambiguous(string(event), "GONE", now)
				} else {
					b.Failed(string(event), "GONE", now)
				}
			}
			if got := b.Open(now); got != test.open {
				t.Errorf("got open %v, want %v", got, test.open)
			}
		})
	}
}

// Against a model of what its comment says, in any order of events.
func TestTheBreakerDoesWhatItSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		b := NewBreaker(limit, 0)
		now := time.Unix(0, 0)
		streak, open := map[string]bool{}, false
		told := false
		b.changed = func(open bool, code string) {
			if open == told || open != (code == "GONE") {
				t.Fatalf("told of open %v for %q, and before of %v; want each change once", open, code, told)
			}
			told = open
		}
		var lastProbe, until time.Time
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(4*ProbeInterval)).Draw(t, "time")))
				if open && now.Sub(until) > grace { // and nothing is left that would fail
					clear(streak)
					open = false
				}
			},
			"failed": func(t *rapid.T) {
				key := strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "key"))
				streak[key] = true
				opens := !open && len(streak) >= limit
				if was, got := b.Failed(key, "GONE", now); was != open || got != opens {
					t.Fatalf("failed: got it open before %v, opened %v, want %v, %v", was, got, open, opens)
				}
				if opens {
					open, lastProbe = true, now // the first probe comes an interval later
				}
				again := now.Add(time.Duration(rapid.Int64Range(0, int64(10*ProbeInterval)).Draw(t, "delay")))
				b.Again(again)
				if again.After(until) {
					until = again
				}
			},
			"decided": func(t *rapid.T) {
				if got := b.Decided(); got != open {
					t.Fatalf("decided: got closed %v, want %v", got, open)
				}
				clear(streak)
				open = false
			},
			"admit": func(t *rapid.T) {
				ask := rapid.IntRange(1, 100).Draw(t, "ask")
				got, probe, wait := b.Admit(ask, now)
				switch due := lastProbe.Add(ProbeInterval); {
				case !open:
					if got != ask || probe || wait != 0 {
						t.Fatalf("closed: got %d, probe %v, wait %v", got, probe, wait)
					}
				case now.Before(due):
					if got != 0 || probe || wait != due.Sub(now) {
						t.Fatalf("open, no probe due: got %d, probe %v, wait %v, want to wait %v",
							got, probe, wait, due.Sub(now))
					}
				default:
					if got != 1 || !probe || wait != 0 {
						t.Fatalf("open, a probe due: got %d, probe %v, wait %v", got, probe, wait)
					}
					lastProbe = now
				}
			},
			"": func(t *rapid.T) {
				if got := b.Open(now); got != open || told != open || b.openSince(now).IsZero() == open {
					t.Fatalf("got open %v since %v, and told of %v; want %v", got, b.openSince(now), told, open)
				}
			},
		})
	})
}

// A peer is down for a minute, and asked whenever the breaker says so. It hears of one message a second.
func TestAnOpenBreakerAsksOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(1, 0)
		b.Failed("anybody", "GONE", time.Now())
		b.Again(time.Now().Add(time.Hour))
		probes := 0
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			n, _, wait := b.Admit(500, time.Now())
			probes += n
			<-time.After(wait)
		}
		if probes != 59 {
			t.Errorf("got %d messages in a minute, want 59: the first a second after it opened", probes)
		}
	})
}

// Five failed, and others have delivered them: of two relays the one whose probe comes first has all of them, and the
// other one hears of nothing any more. When its own should have been tried again it does not take the peer to be down.
func TestABreakerForWhichNothingIsLeftCloses(t *testing.T) {
	t.Parallel()
	b, now := NewBreaker(5, 0), time.Now()
	for n := range 5 {
		b.Failed(strconv.Itoa(n), "GONE", now)
		b.Again(now.Add(time.Minute))
	}
	now = now.Add(time.Minute)
	if b.Failed("0", "GONE", now); !b.Open(now.Add(grace)) {
		t.Error("got it closed while one that failed may be tried yet")
	}
	b.Again(now.Add(time.Minute))
	if now = now.Add(time.Minute + grace); !b.Open(now) {
		t.Error("got it closed while one that failed again may be tried yet")
	}
	if now = now.Add(1); b.Open(now) {
		t.Error("got it open, and nothing is left that would find out")
	}
	if n, probe, _ := b.Admit(500, now); n != 500 || probe {
		t.Errorf("got %d admitted, as a probe: %v; want all of 500", n, probe)
	}
}
