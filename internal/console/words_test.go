package console

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var verbs = regexp.MustCompile(`%(\[\d\])?[a-z]`)

// Whoever reads Japanese is told as much as whoever reads English, about the same things.
func TestEachWordIsThereInEachLanguage(t *testing.T) {
	t.Parallel()
	english := wordsOf(t, "en")
	for _, tag := range languages[1:] {
		others := wordsOf(t, tag.String())
		for key, text := range english {
			other, ok := others[key]
			got, want := len(verbs.FindAllString(other, -1)), len(verbs.FindAllString(text, -1))
			if !ok || got != want {
				t.Errorf("%s: %s: got %q, which tells %d things, want %d as %q does", tag, key, other, got, want, text)
			}
		}
		for key := range others {
			if !english.has(key) {
				t.Errorf("%s: %s is no word in English", tag, key)
			}
		}
	}
}

// A word that is named and missing, or that nobody says any more, is found here. A key that ends with a dot in the
// source names all that begin so.
func TestEachWordThatIsNamedIsThere(t *testing.T) {
	t.Parallel()
	all := wordsOf(t, "en")
	var prefixes []string
	for key := range all {
		if prefix, _, _ := strings.Cut(key, "."); !slices.Contains(prefixes, prefix) {
			prefixes = append(prefixes, prefix)
		}
	}
	named := regexp.MustCompile(`"((?:` + strings.Join(prefixes, "|") + `)\.[A-Za-z0-9_.]*)"`)
	used := map[string]bool{}
	for _, text := range sources(t) {
		for _, found := range named.FindAllStringSubmatch(text, -1) {
			key := found[1]
			ok := all.has(key)
			for word := range all {
				if word == key || strings.HasSuffix(key, ".") && strings.HasPrefix(word, key) {
					used[word], ok = true, true
				}
			}
			if !ok {
				t.Errorf("%q is named, and there is no such word", key)
			}
		}
	}
	for key := range all {
		if page, isTitle := strings.CutPrefix(key, "title."); !used[key] && !(isTitle && isPage(page)) {
			t.Errorf("nobody says %s", key)
		}
	}
}

// sources are the texts of this package that may name words.
func sources(t *testing.T) (texts []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		isSource := path.Ext(name) == ".html" || path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go")
		if err != nil || d.IsDir() || !isSource {
			return err
		}
		text, err := os.ReadFile(name)
		texts = append(texts, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func isPage(name string) bool {
	_, err := os.Stat("templates/pages/" + name + ".html")
	return err == nil
}

func wordsOf(t *testing.T, lang string) words {
	t.Helper()
	all, err := readWords(lang)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheLanguageIsTheBrowsers(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,ja;q=0.9,en;q=0.8": "ja", "en-US,en;q=0.9,ja;q=0.8": "en", "de": "en",
		"de, ja;q=0.5": "ja", ";;;": "en", "*": "en",
	} {
		if got := languages[languageOf(accept)].String(); got != want {
			t.Errorf("%q: got %s, want %s", accept, got, want)
		}
	}
}
