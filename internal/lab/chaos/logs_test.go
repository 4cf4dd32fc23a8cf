package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hosho/internal/lab/load"
	"hosho/internal/rules"
)

// at makes a delivery's line: told so many milliseconds after the beginning, of a claim made then.
func at(relayed int, claim, claimed, retry int) string {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	after := func(ms int) string { return begin.Add(time.Duration(ms) * time.Millisecond).Format(time.RFC3339Nano) }
	line := fmt.Sprintf(`{"time":%q,"msg":"delivery","order_id":"o-1","kind":"CHARGE","claim":%d,"leased_until":%q`,
		after(relayed), claim, after(claimed+1000))
	if retry > 0 {
		line += fmt.Sprintf(`,"retry_in":"%dms"`, retry)
	}
	return line + "}\n"
}

func TestACommandThatIsClaimedBeforeItsTimeIsSeen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		early bool
	}{
		{"after its wait", []string{at(10, 1, 0, 500), at(530, 2, 520, 0)}, false},
		{"when the lease is over, and the wait is not", []string{at(10, 1, 0, 5000), at(1020, 2, 1005, 0)}, false},
		{"before both", []string{at(10, 1, 0, 500), at(320, 2, 300, 0)}, true},
		{
			"before both, by a relay that nobody had told",
			[]string{at(1200, 2, 1100, 900), at(1210, 1, 0, 0), at(1300, 3, 1250, 0)},
			true,
		},
		{
			"a relay that came too late says nothing of the next claim",
			[]string{at(1200, 2, 1100, 900), at(1210, 1, 0, 20), at(2150, 3, 2110, 0)},
			false,
		},
		{"a claim of which nothing was heard is in between", []string{at(10, 1, 0, 500), at(320, 3, 300, 0)}, false},
		{"another order", []string{at(10, 1, 0, 500), strings.ReplaceAll(at(320, 2, 300, 0), "o-1", "o-2")}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLogs(time.Second)
			w := l.of("relay")
			for _, line := range tt.lines {
				for half := range strings.SplitAfterSeq(line, ",") { // lines come in pieces
					if _, err := w.Write([]byte(half)); err != nil {
						t.Fatal(err)
					}
				}
			}
			got := l.violations()
			if tt.early != (len(got) == 1 && got[0].Rule == rules.Early) || !tt.early && len(got) > 0 {
				t.Errorf("got %v, want early: %t", got, tt.early)
			}
		})
	}
}

func TestAlarmsAndFaultsAreSeen(t *testing.T) {
	t.Parallel()
	const buried = `{"msg":"an event that nobody can handle is a dead letter","topic":"hosho.orders"}` + "\n"
	const alarm = `{"msg":"order needs a person","order_id":"o-1"}` + "\n"
	tests := []struct {
		name, text string
		expect     bool // alarms, and dead letters
		want       rules.ID
	}{
		{"an alarm", alarm, false, rules.I15},
		{"an alarm that is meant to be", alarm, true, ""},
		{"a dead letter", buried, false, rules.Fault},
		{"a dead letter that is meant to be", buried, true, ""},
		{
			"a loss of data, which the middleman makes up",
			`{"msg":"order needs a person","order_id":"o-1","code":"DATA_LOSS"}` + "\n", false, "",
		},
		{"a void that keeps failing", `{"msg":"order needs a person","claims":0,"failures":20}` + "\n", false, ""},
		{"a panic", "panic: runtime error\n", false, rules.Fault},
		{"a panic that is caught", `{"msg":"rpc","error":"panic: runtime error"}` + "\n", false, rules.Fault},
		{"a panic that a failpoint made", `{"msg":"rpc","error":"panic: failpoint"}` + "\n", false, ""},
		{"a data race", "WARNING: DATA RACE\n", false, rules.Fault},
		{
			"a password",
			`{"msg":"rpc","error":"cannot connect to postgres://orderd:` + secret + `@db/orders"}` + "\n", false,
			rules.I24,
		},
		{"what a customer ordered", `{"msg":"order","items":"` + load.Item + `"}` + "\n", false, rules.I24},
		{"a control character", `{"msg":"order","customer":"` + "\x1b[31m" + `"}` + "\n", false, rules.I24},
		{"a stack trace", "goroutine 1 [running]:\n\tmain.main()\n", false, ""},
		{"nothing", `{"msg":"serving"}` + "\n", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLogs(time.Second)
			if tt.expect {
				l.expectAlarms()
				l.expectDeadLetters()
			}
			if _, err := l.of("relay").Write([]byte(tt.text)); err != nil {
				t.Fatal(err)
			}
			rule := rules.ID("")
			for _, v := range l.violations() {
				rule += v.Rule
			}
			if rule != tt.want {
				t.Errorf("got %q, want %q", rule, tt.want)
			}
		})
	}
}

// What a relay sends while it knows that paymentd is down is a probe, until it is back, or another relay has taken its
// place.
func TestProbesAreNotCounted(t *testing.T) {
	t.Parallel()
	l := newLogs(time.Second)
	w := l.of("relay")
	for _, line := range []string{
		at(10, 1, 0, 10), `{"msg":"the destination is down: one message a second probes it","kind":"CHARGE"}` + "\n",
		`{"msg":"the destination is back","kind":"VOID"}` + "\n", at(100, 2, 50, 10),
		`{"msg":"the destination is back","kind":"CHARGE"}` + "\n",
		`{"msg":"the destination is down: one message a second probes it","kind":"VOID"}` + "\n", at(200, 3, 150, 10),
		`{"msg":"the destination is down: one message a second probes it","kind":"CHARGE"}` + "\n",
		`{"msg":"serving"}` + "\n", at(300, 4, 250, 0),
	} {
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.sentFor("o-1"); got != 3 {
		t.Errorf("got %d charges sent, want 3 and a probe", got)
	}
}
