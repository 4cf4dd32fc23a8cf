package proxy

import (
	"encoding/binary"
	"testing"
)

// packet is a message: a type, which may be missing, and contents.
func packet(kind, contents string) string {
	return kind + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(contents)))) + contents
}

func request(code uint32) string { return packet("", string(binary.BigEndian.AppendUint32(nil, code))) }

func query(sql string) string { return packet("Q", sql+"\x00") }

var (
	startUp = packet("", "\x00\x03\x00\x00user\x00relay\x00\x00")
	ready   = packet("Z", "I")
	greeted = packet("R", "\x00\x00\x00\x00") + packet("S", "TimeZone\x00UTC\x00") + ready
	done    = packet("C", "COMMIT\x00") + ready
)

// step is what one side sends, and how much of it is to pass before the connection is cut, if it is.
type step struct {
	from string // client or server
	sent string
	pass int
	at   cut
}

func all(from, sent string) step { return step{from, sent, len(sent), uncut} }

func none(from, sent string, at cut) step { return step{from, sent, 0, at} }

// butLast is a COMMIT that does not arrive.
func butLast(sent string) step { return step{"client", sent, len(sent) - 1, beforeCommit} }

// Each story is told in whole messages, and then byte by byte, as TCP may deliver them.
func TestACommitIsRecognised(t *testing.T) {
	t.Parallel()
	hello := []step{all("client", startUp), all("server", greeted)}
	tests := []struct {
		name  string
		cut   cut
		steps []step
	}{
		{"before", beforeCommit, append(hello, all("client", query("begin")), butLast(query("commit")))},
		{"after", afterCommit, append(hello, all("client", query("commit")), none("server", done, afterCommit))},
		{"in capitals, with a semicolon", beforeCommit, append(hello, butLast(query("COMMIT;")))},
		{"after others in one segment", beforeCommit, append(hello, butLast(query("begin")+query("Commit")))},
		{
			"after the answers to others that were sent before", afterCommit,
			append(hello,
				all("client", packet("P", "\x00SELECT 1\x00\x00\x00")+packet("S", "")+query("commit")),
				all("server", packet("1", "")+ready),
				none("server", done, afterCommit)),
		},
		{
			"other statements", beforeCommit,
			append(hello,
				all("client", query("commit prepared 'x'")),
				all("client", query("SELECT 'commit'")),
				all("client", packet("d", "commit\x00"))),
		},
		{
			"a long statement that begins with it", beforeCommit,
			append(hello, all("client", query("commit; SELECT 'something longer'"))),
		},
		{
			"after encryption was declined, twice", afterCommit,
			append([]step{
				all("client", request(gssEncRequest)), all("server", "N"),
				all("client", request(sslRequest)), all("server", "N"),
			}, append(hello, all("client", query("commit")), none("server", done, afterCommit))...),
		},
		{
			"nothing in what is encrypted", beforeCommit,
			[]step{
				all("client", request(sslRequest)), all("server", "S"),
				all("client", startUp+query("commit")), all("server", ready),
			},
		},
		{
			"nothing in what is encrypted from the first byte", beforeCommit,
			[]step{all("client", "\x16\x03\x01\x02\x00\x01"+query("commit")), all("server", "\x16\x03\x03"+ready)},
		},
		{
			"nothing in a request to cancel", beforeCommit,
			[]step{all("client", packet("", "\x04\xd2\x16\x2e\x00\x00\x00\x01secret"))},
		},
		{"not when it is not chosen", uncut, append(hello, all("client", query("commit")), all("server", done))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tell(t, tt.cut, tt.steps, wholly)
			tell(t, tt.cut, tt.steps, bytewise)
		})
	}
}

// inspect is one way of a session.
type inspect = func([]byte) (int, cut)

func tell(t *testing.T, chosen cut, steps []step, send func(inspect, string) (int, cut)) {
	t.Helper()
	s := newSession(func() cut { return chosen })
	for _, step := range steps {
		way := s.fromClient
		if step.from == "server" {
			way = s.fromServer
		}
		if pass, at := send(way, step.sent); pass != step.pass || at != step.at {
			t.Errorf("%s sends %q: got %d bytes to pass and cut %d, want %d and %d",
				step.from, step.sent, pass, at, step.pass, step.at)
		}
	}
}

func wholly(way inspect, sent string) (int, cut) { return way([]byte(sent)) }

func bytewise(way inspect, sent string) (pass int, at cut) {
	for i := 0; i < len(sent) && at == uncut; i++ {
		var n int
		n, at = way([]byte{sent[i]})
		pass += n
	}
	return pass, at
}
