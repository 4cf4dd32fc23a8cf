package pgtest

import (
	"strings"
	"testing"
)

// Without Main nobody would stop the server.
func TestNoServerWithoutMain(t *testing.T) {
	t.Parallel()
	_, err := new(lazyServer).start()
	if want := "let TestMain call pgtest.Main"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}
