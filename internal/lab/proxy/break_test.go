package proxy_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hosho/internal/lab/proxy"
)

func TestAConnectionMayEndOneWay(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	say(t, client, "the whole request")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	hear(t, server, "the whole request")
	hearEnd(t, server)
	say(t, server, "the answer")
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	hear(t, client, "the answer")
	hearEnd(t, client)
}

func TestAConnectionThatBreaksBreaksOnTheOtherSide(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	abort(t, client)
	hearBreak(t, server)
	client, server = l.connect(t)
	abort(t, server)
	hearBreak(t, client)
}

func TestABlackholeHidesTheEndUntilItHeals(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{StallUp: true})
	say(t, client, "last words")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	hearNothing(t, server)
	l.Set(proxy.Link{})
	hear(t, server, "last words")
	hearEnd(t, server)
}

// The server is gone, and so is what the client goes on sending. The client can know of neither before the way back
// heals.
func TestABlackholeHidesThatTheServerIsGone(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	say(t, server, "welcome") // a proxy that is still dialling would hear of the break
	hear(t, client, "welcome")
	l.Set(proxy.Link{StallDown: true})
	abort(t, server)
	for range 3 {
		say(t, client, "are you there?")
		hearNothing(t, client)
	}
	l.Set(proxy.Link{})
	hearBreak(t, client)
}

// The server has sent all that the line holds, and breaks. The proxy learns of it when it writes; what it then reads is
// the rest and, since a connection breaks but once, an end as of one that has ended in order.
func TestABreakIsNotTakenForAnEnd(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{StallDown: true})
	fill(t, server)
	abort(t, server)
	say(t, client, "are you there?")
	hearNothing(t, client)
	l.Set(proxy.Link{})
	if n, err := io.Copy(io.Discard, client); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("heard %d bytes, %v, want a reset at last", n, err)
	}
}

// Both have said what they had to say, and the proxy is done with them before one has read what it was sent.
func TestALateReaderStillGetsAll(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	lateReader(t, l, client, server)
	client, server = l.connect(t)
	lateReader(t, l, server, client)
}

func lateReader(t *testing.T, l *links, late, other *net.TCPConn) {
	t.Helper()
	if err := late.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	speech := strings.Repeat("a long speech ", 14_000)
	say(t, other, speech)
	if err := other.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(longest); l.Open() > 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for the connection to end", longest)
		}
	}
	hear(t, late, speech)
	hearEnd(t, late)
}

func TestTheEndOfAConnectionIsPassedOnLate(t *testing.T) {
	t.Parallel()
	const late = 60 * time.Millisecond
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{SlowClose: late})
	begin := time.Now()
	say(t, client, "goodbye")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	hear(t, server, "goodbye")
	hearEnd(t, server)
	if got := time.Since(begin); got < late {
		t.Errorf("got the end after %s, want %s at least", got, late)
	}
}

// dialBreaks wants a new connection to be reset. The reset may come so soon that the client takes it for the answer.
func dialBreaks(t *testing.T, l *links) {
	t.Helper()
	client, err := net.DialTimeout("tcp", l.Address(), longest)
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	hearBreak(t, own(t, client, err))
}

func TestARefusedConnectionIsReset(t *testing.T) {
	t.Parallel()
	l := listen(t)
	before, server := l.connect(t)
	l.Set(proxy.Link{Refuse: true})
	dialBreaks(t, l)
	say(t, before, "still here")
	hear(t, server, "still here")
	l.Set(proxy.Link{})
	l.connect(t)
}

func TestAConnectionThatReachesNoServerIsReset(t *testing.T) {
	t.Parallel()
	l := listen(t)
	if err := l.server.Close(); err != nil {
		t.Fatal(err)
	}
	dialBreaks(t, l)
}

func TestResetBreaksEveryConnection(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{StallDown: true})
	say(t, server, "lost")
	stalled, behind := l.connect(t)
	l.Set(proxy.Link{StallUp: true, StallDown: true})
	waiting := l.dial(t)
	hearNothing(t, waiting)
	l.Reset()
	if open := l.Open(); open != 0 {
		t.Errorf("%d connections are left", open)
	}
	hearBreak(t, client)
	hearBreak(t, server)
	hearBreak(t, stalled)
	hearBreak(t, behind)
	hearBreak(t, waiting)
	l.Set(proxy.Link{})
	l.connect(t)
}

// Each connection passes some bytes and breaks. The next may pass another number of them; the same seed passes the same
// numbers again.
func TestAConnectionBreaksAtARandomByte(t *testing.T) {
	t.Parallel()
	const within, connections = 1000, 10
	l := listen(t)
	passed := func(seed uint64) (numbers []int) {
		l.Set(proxy.Link{ResetWithin: within, Seed: seed})
		for range connections {
			client, server := l.connect(t)
			say(t, client, strings.Repeat(".", 2*within))
			got, err := io.ReadAll(server)
			if !errors.Is(err, syscall.ECONNRESET) || len(got) > within {
				t.Fatalf("got %d bytes, %v, want a reset within %d", len(got), err, within)
			}
			numbers = append(numbers, len(got))
		}
		return numbers
	}
	first := passed(1)
	if again := passed(1); !slices.Equal(first, again) {
		t.Errorf("the same seed let %v pass, then %v", first, again)
	}
	if other := passed(2); slices.Equal(first, other) {
		t.Errorf("two seeds let the same pass: %v", first)
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(first))); len(distinct) < connections/2 {
		t.Errorf("%d connections broke at %v only", connections, distinct)
	}
}

// A connection that was open before breaks too, and counts what both sides send.
func TestAnOpenConnectionBreaksWithinWhatBothSidesSend(t *testing.T) {
	t.Parallel()
	const within = 100
	l := listen(t)
	client, server := l.connect(t)
	say(t, client, strings.Repeat(".", 2*within))
	hear(t, server, strings.Repeat(".", 2*within))
	l.Set(proxy.Link{ResetWithin: within})
	for range within/2 + 1 {
		if _, err := io.WriteString(client, "?"); err != nil {
			return
		}
		if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
			return
		}
		if _, err := io.WriteString(server, "!"); err != nil {
			return
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			return
		}
	}
	t.Errorf("more than %d bytes have passed", within)
}

// The target moves. Connections that are open stay with the old one, new ones find the other.
func TestARedirectedProxyCarriesNewConnectionsElsewhere(t *testing.T) {
	t.Parallel()
	l, other := listen(t), listen(t)
	client, server := l.connect(t)
	l.Redirect(other.server.Addr().String())
	say(t, client, "still here")
	hear(t, server, "still here")
	moved := l.dial(t)
	say(t, moved, "moved")
	hear(t, other.accept(t), "moved")
}
