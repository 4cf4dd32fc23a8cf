package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"hosho/internal/lab/proxy"
)

// transfer sends random bytes both ways at once and wants the same to arrive.
func transfer(t *testing.T, client, server *net.TCPConn, size int) {
	t.Helper()
	var both sync.WaitGroup
	for i, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
		sent := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(i)}).Read(sent)
		both.Go(func() {
			if _, err := way[0].Write(sent); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			got := make([]byte, size)
			if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("got other bytes than were sent: %v", err)
			}
		})
	}
	both.Wait()
}

func TestBytesPassUnchangedAndInOrder(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]proxy.Link{
		"healthy":   {},
		"jittering": {Latency: time.Millisecond, Jitter: 5 * time.Millisecond},
		"lossy":     {Loss: 0.01, Seed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			l.Set(link)
			client, server := l.connect(t)
			transfer(t, client, server, 1<<20)
		})
	}
}

// The link stalls now one way, now the other, now both, while a lot is sent.
func TestAFlappingLinkLosesNothing(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	sent := make(chan struct{})
	var flapping sync.WaitGroup
	flapping.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-sent:
				l.Set(proxy.Link{})
				return
			case <-tick.C:
				l.Set(proxy.Link{StallUp: i&1 == 1, StallDown: i&2 == 2})
			}
		}
	})
	transfer(t, client, server, 4<<20)
	close(sent)
	flapping.Wait()
}

func TestLatencyHoldsUpEachWay(t *testing.T) {
	t.Parallel()
	const latency = 40 * time.Millisecond
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{Latency: latency})
	begin := time.Now()
	say(t, client, "ping")
	hear(t, server, "ping")
	if got := time.Since(begin); got < latency {
		t.Errorf("there: got %s, want %s at least", got, latency)
	}
	say(t, server, "pong")
	hear(t, client, "pong")
	if got := time.Since(begin); got < 2*latency {
		t.Errorf("there and back: got %s, want %s at least", got, 2*latency)
	}
}

func TestALostChunkComesWhenItIsSentAgain(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{Loss: 1})
	begin := time.Now()
	say(t, client, "ping")
	hear(t, server, "ping")
	if got, want := time.Since(begin), 200*time.Millisecond; got < want {
		t.Errorf("got %s, want %s at least", got, want)
	}
}

func TestABlackholedReplyArrivesWhenTheLinkHeals(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{StallDown: true})
	say(t, client, "charge")
	hear(t, server, "charge")
	say(t, server, "charged")
	hearNothing(t, client)
	l.Set(proxy.Link{})
	hear(t, client, "charged")
}

func TestOneWayBlackholeLetsTheOtherWayPass(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{StallUp: true})
	say(t, client, "a question")
	for range 10 {
		say(t, server, "news")
		hear(t, client, "news")
	}
	hearNothing(t, server)
	l.Set(proxy.Link{})
	hear(t, server, "a question")
}

func TestANewConnectionIntoABlackholeHearsNothing(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.Set(proxy.Link{StallUp: true})
	client := l.dial(t)
	say(t, client, "hello")
	hearNothing(t, client)
	if err := l.server.SetDeadline(time.Now().Add(30 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.server.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server: got %v, want nobody to come", err)
	}
	l.Set(proxy.Link{})
	server := l.accept(t)
	hear(t, server, "hello")
	say(t, server, "welcome")
	hear(t, client, "welcome")
}

func TestANewConnectionOverAOneWayBlackholeIsHeardAndHearsNothing(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.Set(proxy.Link{StallDown: true})
	client, server := l.connect(t)
	say(t, client, "hello")
	hear(t, server, "hello")
	say(t, server, "welcome")
	hearNothing(t, client)
	l.Set(proxy.Link{})
	hear(t, client, "welcome")
}

// The client sends until nobody takes it any more, which with a link of no bounds would be never.
func TestAFullLinkPushesBack(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{StallUp: true})
	sent := fill(t, client)
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	l.Set(proxy.Link{})
	got, err := io.ReadAll(server)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes, %v, want the %d that were sent", len(got), err, len(sent))
	}
}

// fill sends until nobody takes it any more. It returns what was taken.
func fill(t *testing.T, conn *net.TCPConn) (sent []byte) {
	t.Helper()
	const tooMuch = 256 << 20
	block := []byte(strings.Repeat("0123456789abcde\n", 4096))
	for {
		if err := conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Write(block)
		sent = append(sent, block[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return sent
		}
		if err != nil || len(sent) >= tooMuch {
			t.Fatalf("sent %d bytes into a stalled link: %v", len(sent), err)
		}
	}
}

func TestCloseEndsAFullLink(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client, server := l.connect(t)
	l.Set(proxy.Link{StallUp: true, StallDown: true})
	var writing sync.WaitGroup
	for _, conn := range []*net.TCPConn{client, server} {
		writing.Go(func() {
			endless := make([]byte, 1<<20)
			for {
				if _, err := conn.Write(endless); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("still open")
				} else if err == nil {
					continue
				}
				return
			}
		})
	}
	hearNothing(t, client)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	writing.Wait()
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second close: got %v, want %v", err, net.ErrClosed)
	}
}
