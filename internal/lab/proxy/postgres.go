package proxy

import (
	"encoding/binary"
	"strings"
	"sync"
)

// The requests that may come in place of a StartupMessage (PostgreSQL, "Message Formats").
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssEncRequest = 80877104
)

// session follows the messages of a PostgreSQL connection, from its first byte, as they are about to be delivered.
type session struct {
	choose func() cut // asked at each COMMIT

	mu             sync.Mutex // guards what follows
	client, server message
	asked          int  // how many ReadyForQuery the client has asked for
	answered       int  // how many the server has sent
	cutAt          int  // the one to cut the connection at, if it is not 0
	negotiating    bool // the server's next byte is no message: it says whether it will encrypt
	encrypted      bool // nothing can be read any more
}

func newSession(choose func() cut) *session {
	return &session{choose: choose, client: message{startup: true}}
}

// fromClient returns how much of b may reach the server, and whether the connection is cut then. A COMMIT that must not
// arrive lacks its last byte: parts of it may have passed before.
func (s *session) fromClient(b []byte) (pass int, at cut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(b) && !s.encrypted; i++ {
		if s.client.add(b[i]) && s.sent() == beforeCommit {
			return i, beforeCommit
		}
	}
	return len(b), uncut
}

// sent takes note of a whole message of the client's, and returns what befalls the connection.
func (s *session) sent() cut {
	m := s.client
	s.client = message{startup: m.startup}
	if m.startup {
		s.started(m.code())
		return uncut
	}
	switch m.begin[0] {
	case 'Q', 'S', 'F': // Query, Sync, FunctionCall: each is answered with one ReadyForQuery
		s.asked++
	}
	if !m.isCommit() || s.cutAt != 0 {
		return uncut
	}
	at := s.choose()
	if at == afterCommit {
		s.cutAt = s.asked
	}
	return at
}

func (s *session) started(code uint32) {
	switch code {
	case sslRequest, gssEncRequest:
		s.negotiating = true // and if the server declines, another first message follows
	case cancelRequest: // nothing follows
	default:
		s.client.startup = false
		s.asked++
	}
}

// fromServer returns how much of b the client may hear, and whether the connection is cut then. Of the answer to a
// COMMIT that is cut, it hears nothing.
func (s *session) fromServer(b []byte) (pass int, at cut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, octet := range b {
		if s.encrypted {
			return len(b), uncut
		}
		if s.cutAt == 0 || s.answered < s.cutAt-1 {
			pass++
		}
		if s.received(octet) && s.answered == s.cutAt {
			return pass, afterCommit
		}
	}
	return pass, uncut
}

// received reports whether the server has become ready for the next query with this byte.
func (s *session) received(octet byte) bool {
	if s.negotiating {
		s.negotiating = false
		s.encrypted = octet == 'S' || octet == 'G'
		return false
	}
	if !s.server.add(octet) {
		return false
	}
	ready := s.server.begin[0] == 'Z'
	s.server = message{}
	if ready {
		s.answered++
	}
	return ready
}

// message is a message as far as it has come: a type, except in the first ones of a client, a length, which counts
// itself, and contents.
type message struct {
	startup bool     // it has no type
	size    int      // in bytes, so far
	begin   [32]byte // a COMMIT is not longer
}

// add reports whether the message is complete with this byte.
func (m *message) add(octet byte) bool {
	if m.size < len(m.begin) {
		m.begin[m.size] = octet
	}
	m.size++
	length := m.lengthAt()
	return m.size >= length+4 && m.size >= length+int(binary.BigEndian.Uint32(m.begin[length:]))
}

func (m *message) lengthAt() int {
	if m.startup {
		return 0
	}
	return 1
}

// code tells the first messages of a client apart.
func (m *message) code() uint32 { return binary.BigEndian.Uint32(m.begin[4:]) }

func (m *message) isCommit() bool {
	if m.begin[0] != 'Q' || m.size > len(m.begin) {
		return false
	}
	return strings.EqualFold(strings.Trim(string(m.begin[5:m.size]), " \t\r\n;\x00"), "commit")
}
