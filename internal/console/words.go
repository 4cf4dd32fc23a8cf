package console

import (
	"embed"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// languages are those that pages are written in. Whoever reads none of them gets the first.
var languages = []language.Tag{language.English, language.Japanese}

var matcher = language.NewMatcher(languages)

// languageOf returns the index of the language that a browser asks for.
func languageOf(accept string) int {
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil { // it is no list of languages
		return 0
	}
	_, i, _ := matcher.Match(wanted...)
	return i
}

//go:embed words/*.txt
var wordFiles embed.FS

// words are the texts of one language by their keys, each a format.
type words map[string]string

// readWords reads a file of words: each line has a key, a colon and a text; a line with # says something about those
// that follow.
func readWords(lang string) (words, error) {
	text, err := wordFiles.ReadFile("words/" + lang + ".txt")
	if err != nil {
		return nil, err
	}
	all := words{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, said, ok := strings.Cut(line, ": ")
		if _, twice := all[key]; !ok || twice {
			return nil, fmt.Errorf("words in %s: %q has no text, or one already", lang, line)
		}
		all[key] = strings.TrimSpace(said)
	}
	return all, nil
}

// text is what a key says about something. A key that is missing is shown itself.
func (w words) text(key string, about ...any) string {
	format, ok := w[key]
	if !ok {
		return key
	}
	if len(about) == 0 {
		return format
	}
	return fmt.Sprintf(format, about...)
}

// has reports whether there is a word.
func (w words) has(key string) bool {
	_, ok := w[key]
	return ok
}

// clock is a moment of today in local time, with the zone: others may look at the same picture elsewhere.
func clock(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format("15:04:05 MST")
}

// moment is a moment of any day, as clock has those of today.
func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format(time.DateTime + " MST")
}

// instant is a moment to the millisecond; its day and zone stand elsewhere.
func instant(t time.Time) string { return t.Local().Format("15:04:05.000") }

// exact is a moment of any day to the millisecond.
func exact(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000 MST") }

// machine is a moment for programs, as the attribute datetime has it.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
