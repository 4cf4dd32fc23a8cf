package bench

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// errLeft says that the server has ended a connection on which no call was left.
var errLeft = errors.New("the server has ended the connection")

// read takes in what the server sends, until the connection has ended.
func (l *link) read() error {
	for {
		f, err := l.fr.ReadFrame()
		var of http2.StreamError
		if errors.As(err, &of) {
			l.reset(of.StreamID, of)
			continue
		}
		if err != nil {
			return err
		}
		if err := l.take(f); err != nil {
			return err
		}
	}
}

func (l *link) take(f http2.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.waiting[f.Header().StreamID] // nil when it was given up
	switch f := f.(type) {
	case *http2.DataFrame:
		return l.data(c, f)
	case *http2.MetaHeadersFrame:
		if c != nil && f.StreamEnded() {
			l.end(c, statusOf(f))
		}
	case *http2.RSTStreamFrame:
		if c != nil {
			l.end(c, lost(http2.StreamError{StreamID: c.id, Code: f.ErrCode}))
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			l.window += int(f.Increment)
			l.room.Broadcast()
		}
	case *http2.SettingsFrame:
		return l.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			l.bell.Ring()
			return l.fr.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		return l.goAway(f)
	}
	if l.leaving && len(l.waiting) == 0 {
		return errLeft
	}
	return nil
}

// data takes in a part of a reply, and grants the server more when half of what it was granted has come.
func (l *link) data(c *call, f *http2.DataFrame) error {
	if c != nil {
		c.body = append(c.body, f.Data()...)
		if f.StreamEnded() {
			l.end(c, status.Error(codes.Internal, "the reply ended without a status"))
		}
	}
	if l.grant += int(f.Length); l.grant < received/2 {
		return nil
	}
	granted := uint32(l.grant)
	l.grant = 0
	l.bell.Ring()
	return l.fr.WriteWindowUpdate(0, granted)
}

func (l *link) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if most, told := f.Value(http2.SettingMaxConcurrentStreams); told {
		l.most = int(most)
	} else if l.most == 0 {
		l.most = math.MaxInt32
	}
	if size, told := f.Value(http2.SettingHeaderTableSize); told {
		l.headers.SetMaxDynamicTableSizeLimit(size)
		l.head = head{}
	}
	l.room.Broadcast()
	l.bell.Ring()
	return l.fr.WriteSettingsAck()
}

// goAway has no new calls be made, and ends those that the server has not taken.
func (l *link) goAway(f *http2.GoAwayFrame) error {
	l.leaving = true
	l.room.Broadcast()
	for id, c := range l.waiting {
		if id > f.LastStreamID {
			l.end(c, lost(errLeft))
		}
	}
	if len(l.waiting) == 0 {
		return errLeft
	}
	return nil
}

// reset ends a call whose frames cannot be read.
func (l *link) reset(id uint32, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.waiting[id]; c != nil {
		l.end(c, lost(err))
	}
}

// statusOf reads how a call ended: nil when it was answered.
func statusOf(f *http2.MetaHeadersFrame) error {
	var code, message, details string
	for _, field := range f.Fields {
		switch field.Name {
		case "grpc-status":
			code = field.Value
		case "grpc-message":
			message = field.Value
		case "grpc-status-details-bin":
			details = field.Value
		}
	}
	if code == "0" {
		return nil
	}
	text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "="))
	whole := &spb.Status{}
	if err == nil && details != "" && proto.Unmarshal(text, whole) == nil {
		return status.ErrorProto(whole)
	}
	n, err := strconv.ParseUint(code, 10, 32)
	if err != nil {
		return status.Errorf(codes.Internal, "got status %q of HTTP %s, want one of gRPC", code,
			f.PseudoValue("status"))
	}
	return status.Error(codes.Code(n), message)
}
