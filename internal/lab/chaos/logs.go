package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"hosho/internal/lab/load"
	"hosho/internal/lab/stack"
	"hosho/internal/rules"
)

// logs reads what the daemons write. From it the experiment learns what no table tells: how often commands were sent,
// whether one was claimed before its time, and whether a daemon asked for a person or had a fault of its own.
type logs struct {
	mu       sync.Mutex
	lease    time.Duration // the shortest that a relay claims for
	last     map[string]delivery
	sent     map[string]int  // charges sent by order, probes of a paymentd that is down left out
	down     map[string]bool // for charges, as a relay sees it
	alarmsOK bool            // a fault is meant to raise them
	buriesOK bool            // a fault is meant to make dead letters
	unpaced  bool            // relays do not hold what they have handed over: whichever hears of it says when it is due
	found    []Violation
}

func newLogs(lease time.Duration) *logs {
	return &logs{lease: lease, last: map[string]delivery{}, sent: map[string]int{}, down: map[string]bool{}}
}

// leases says how long relays claim for from now on.
func (l *logs) leases(lease time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lease = lease
}

// expectAlarms says that from now on an alarm is no violation.
func (l *logs) expectAlarms() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarmsOK = true
}

// expectDeadLetters says that from now on a dead letter is no violation.
func (l *logs) expectDeadLetters() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buriesOK = true
}

func (l *logs) violations() []Violation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Violation(nil), l.found...)
}

// add notes what something else has found.
func (l *logs) add(v Violation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found = append(l.found, v)
}

// sentFor returns how many charges were sent for an order.
func (l *logs) sentFor(order string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent[order]
}

// of returns a writer that reads the log of a daemon.
func (l *logs) of(daemon string) io.Writer {
	return stack.Lines(func(line []byte) { l.read(daemon, line) })
}

// The lines that say something, by what is in them: most do not, and are not taken apart.
var telling = [][]byte{
	[]byte(`"msg":"delivery"`), []byte(`"msg":"order needs a person"`), []byte(`"msg":"the destination is`),
	[]byte(`"msg":"serving"`), []byte(`"msg":"` + deadLetter + `"`),
	[]byte("DATA RACE"), []byte("panic: "), []byte("fatal error: "), []byte(`"msg":"rpc"`), []byte(`"msg":"payment"`),
}

const (
	faultsFrom  = 5 // from here on they tell of faults
	answersFrom = 8 // and from here on of answers, of which only some are
)

// internal marks an answer that says a daemon is at fault.
var internal = []byte(`"code":"INTERNAL"`)

// expected are the faults that something is meant to make: a failpoint, and the simulated card network.
var expected = [][]byte{[]byte("panic: failpoint"), []byte(`"error":"simulated failure"`)}

// secret is the password with which the daemons connect to their databases.
const secret = "a-password-that-no-log-tells"

// untold are what no line may hold: a password, and who the customers are and what they order.
var untold = [][]byte{[]byte(secret), []byte(load.Customer), []byte(load.Item)}

func (l *logs) read(daemon string, line []byte) {
	if why := leak(line); why != "" {
		l.mu.Lock()
		l.found = append(l.found, Violation{rules.I24, fmt.Sprintf("%s logs %s: %.300q", daemon, why, line)})
		l.mu.Unlock()
	}
	for i, mark := range telling {
		if bytes.Contains(line, mark) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if i >= answersFrom && !bytes.Contains(line, internal) {
				return
			}
			if i >= faultsFrom {
				l.fault(daemon, line)
				return
			}
			var e entry
			if json.Unmarshal(line, &e) == nil {
				l.take(daemon, e)
			}
			return
		}
	}
}

// leak returns what a line holds that it must not, or nothing.
func leak(line []byte) string {
	if slices.ContainsFunc(line, func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return "a control character"
	}
	for _, private := range untold {
		if bytes.Contains(line, private) {
			return fmt.Sprintf("%q", private)
		}
	}
	return ""
}

// What a relay's workers say of paymentd, each for its kind of command.
const (
	destinationDown = "the destination is down: one message a second probes it"
	destinationBack = "the destination is back"
)

// deadLetter is what an inbox says of an event that it has given up.
const deadLetter = "an event that nobody can handle is a dead letter"

// entry is a line of a daemon's log.
type entry struct {
	Time        time.Time `json:"time"`
	Message     string    `json:"msg"`
	OrderID     string    `json:"order_id"`
	Code        string    `json:"code"`
	Kind        string    `json:"kind"`
	Claim       int       `json:"claim"`
	Failures    int       `json:"failures"`
	LeasedUntil time.Time `json:"leased_until"`
	RetryIn     string    `json:"retry_in"`
	Topic       string    `json:"topic"`
	ID          string    `json:"id"`
	Why         string    `json:"why"`
}

// delivery is the latest delivery of a command that is to be tried again.
type delivery struct {
	claim       int
	leasedUntil time.Time // by the database's clock
	next        time.Time // when it is to be tried again
}

func (l *logs) take(daemon string, e entry) {
	switch e.Message {
	case "order needs a person":
		// With failures: a void that keeps failing, which is what somebody should know. And no paymentd of ours loses
		// data: one of the codes that the middleman makes up says so.
		if e.Failures == 0 && !l.alarmsOK && e.Code != "DATA_LOSS" {
			l.found = append(l.found,
				Violation{rules.I15, fmt.Sprintf("order %s: %s raised an alarm", e.OrderID, daemon)})
		}
	case deadLetter:
		if !l.buriesOK {
			l.found = append(l.found,
				Violation{rules.Fault, fmt.Sprintf("%s: a dead letter of %s, %s: %s", daemon, e.Topic, e.ID, e.Why)})
		}
	case "serving":
		l.down[daemon] = false
	case destinationBack, destinationDown:
		if e.Kind == "CHARGE" {
			l.down[daemon] = e.Message == destinationDown
		}
	case "delivery":
		if e.Kind == "CHARGE" && !l.down[daemon] {
			l.sent[e.OrderID]++
		}
		l.deliver(e)
	}
}

// early is how much sooner than allowed a claim may seem to be: the daemons' clock and the database's are one, but a
// line is written a moment after what it tells of.
const early = 20 * time.Millisecond

// deliver notes a delivery. A command that was to wait for its next try may be claimed when the wait is over, or when
// the lease of the former claim is, and no sooner: somebody whose lease had ended has moved it.
func (l *logs) deliver(e entry) {
	key := e.OrderID + e.Kind
	before, known := l.last[key]
	if known && e.Claim < before.claim {
		return // of a relay that came too late
	}
	if retry, err := time.ParseDuration(e.RetryIn); err == nil {
		l.last[key] = delivery{e.Claim, e.LeasedUntil, e.Time.Add(retry)}
	} else {
		delete(l.last, key)
	}
	if l.unpaced || !known || e.Claim != before.claim+1 || e.LeasedUntil.IsZero() {
		return
	}
	due := before.next
	if before.leasedUntil.Before(due) {
		due = before.leasedUntil
	}
	if sooner := due.Sub(e.LeasedUntil.Add(-l.lease)); sooner > early {
		detail := fmt.Sprintf("the %s of order %s was claimed %s before it was due",
			e.Kind, e.OrderID, sooner.Round(time.Millisecond))
		l.found = append(l.found, Violation{rules.Early, detail})
	}
}

// fault notes a fault of a daemon's own, unless it is expected.
func (l *logs) fault(daemon string, line []byte) {
	if slices.ContainsFunc(expected, func(mark []byte) bool { return bytes.Contains(line, mark) }) {
		return
	}
	l.found = append(l.found, Violation{rules.Fault, daemon + ": " + string(line[:min(len(line), 300)])})
}
