package console

import (
	"strings"
	"time"

	relayv1 "hosho/gen/relay/v1"
	"hosho/internal/plain"
	"hosho/internal/span"
	"hosho/internal/story"
)

// What the picture shows of a long history: its beginning, and most of its end. The table has all of it.
const (
	shownFirst = 10
	shownLast  = 50
)

// laneRow is a moment in the lane of the service that tells it.
type laneRow struct {
	story.Moment

	Sign   string // of what it means: a class of the style sheet
	Title  string
	Note   string // more about it
	By     string // who did it
	Sent   string // the method that carried an attempt; empty where nothing was sent
	Answer string // what that came to
	Gap    string // the time since the moment before; empty where that is none
	Wide   int    // how far the row is from the one before, from 0 to 5
	Cut    bool   // moments before it are left out
}

// lanes draws a history, and tells how much of it is left out.
func (v *view) lanes(all []story.Moment) (rows []laneRow, leftOut int) {
	from := len(all)
	if leftOut = len(all) - shownFirst - shownLast; leftOut > 0 {
		from = shownFirst
	} else {
		leftOut = 0
	}
	for i, m := range all {
		if i >= from && i < from+leftOut {
			continue
		}
		row := v.lane(m)
		row.Cut = i > 0 && i == from+leftOut
		if i > 0 {
			row.Gap, row.Wide = gap(m.Time.Sub(all[i-1].Time))
		}
		rows = append(rows, row)
	}
	return rows, leftOut
}

// gap is the time between two moments, and how far they are from each other on the page.
func gap(d time.Duration) (text string, wide int) {
	if d < 100*time.Microsecond {
		return "", 0
	}
	for limit := 10 * time.Millisecond; d >= limit && wide < 5; limit *= 10 {
		wide++
	}
	return "+" + span.Text(d), wide
}

// lane is one moment as the picture has it.
func (v *view) lane(m story.Moment) laneRow {
	row := laneRow{Moment: m, Sign: string(m.Tone), Title: m.What}
	if by := m.Relay + m.Who; by != m.From {
		row.By = by
	}
	switch {
	case m.Attempt != nil:
		v.attempt(&row, m.Attempt)
	case m.Entry != nil:
		kind := strings.TrimPrefix(m.Entry.GetKind().String(), "KIND_")
		row.Title = v.words.text("lane.entry", kind, v.amount(m.Entry.GetAmount()))
	case m.Retry != nil:
		row.Title = v.words.text("lane.retry", story.Kind(m.Retry.GetKind()))
		row.Note, row.By = plain.Text(m.Retry.GetReason()), plain.Text(m.Retry.GetOperator())
	case m.Decision != nil:
		row.Title = v.words.text("lane.decision")
		row.Note, row.By = plain.Text(m.Decision.GetReason()), plain.Text(m.Decision.GetOperator())
	case m.Decided != relayv1.ParkedCommand_KIND_UNSPECIFIED:
		row.Title = v.words.text("lane.attempt", story.Kind(m.Decided), 1)
		row.Note = v.words.text("meaning.DECIDED")
	case m.Status != "":
		row.Sign, row.Title = strings.ToLower(m.Status)+" state", m.Status
		if m.Cause != "" {
			row.Note = v.said("cause.", m.Cause)
		}
	}
	if m.Implied {
		row.Note = strings.TrimSpace(row.Note + " " + v.words.text("lane.implied"))
	}
	return row
}

// attempt tells a delivery: what was sent, what came of it, what the relay took that for, and when it tries again.
func (v *view) attempt(row *laneRow, at *relayv1.Attempt) {
	meaning := strings.TrimPrefix(at.GetMeaning().String(), "MEANING_")
	row.Title = v.words.text("lane.attempt", story.Kind(at.GetKind()), at.GetClaim())
	row.Note = v.words.text("meaning." + meaning)
	if at.GetRetryDelay() != nil {
		row.Note += " " + v.words.text("lane.again", span.Text(at.GetRetryDelay().AsDuration()))
	} else if at.GetMeaning() != relayv1.Attempt_MEANING_DECIDED || at.GetCode() != "OK" {
		row.Note += " " + v.words.text("lane.last")
	}
	if row.Sent = plain.Text(at.GetRpc()); row.Sent != "" {
		row.Answer = v.words.text("lane.answer", plain.Text(at.GetCode()), span.Text(at.GetLatency().AsDuration()))
	}
}
