package logline

import (
	"sync/atomic"
	"time"
)

// stamps writes the times of lines as time.RFC3339Nano does. What lines of the same second have in common is made once.
type stamps struct{ last atomic.Pointer[stamp] }

// stamp is what the times of a second have in common.
type stamp struct {
	second int64 // since 1970
	zone   *time.Location
	before []byte // the point of the fraction
	after  []byte
	dated  bool // it is in the years that RFC 3339 knows
}

// add adds a time to b, and reports whether slog would write it so.
func (s *stamps) add(b []byte, at time.Time) (_ []byte, dated bool) {
	last := s.last.Load()
	if last == nil || last.second != at.Unix() || last.zone != at.Location() {
		last = newStamp(at)
		s.last.Store(last)
	}
	b = append(b, last.before...)
	b = addFraction(b, at.Nanosecond())
	return append(b, last.after...), last.dated
}

func newStamp(at time.Time) *stamp {
	year := at.Year()
	return &stamp{
		second: at.Unix(), zone: at.Location(), dated: year >= 1970 && year <= 9999,
		before: at.AppendFormat(nil, "2006-01-02T15:04:05"), after: at.AppendFormat(nil, "Z07:00"),
	}
}

// addFraction adds the nanoseconds of a second to b, without the zeros at their end.
func addFraction(b []byte, nanoseconds int) []byte {
	if nanoseconds == 0 {
		return b
	}
	digits := [...]byte{'.', '0', '0', '0', '0', '0', '0', '0', '0', '0'}
	for at := len(digits) - 1; nanoseconds > 0; at-- {
		digits[at] += byte(nanoseconds % 10)
		nanoseconds /= 10
	}
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	return append(b, digits[:end]...)
}
