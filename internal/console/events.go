package console

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// streamTimeout is for how long a browser may take nothing.
const streamTimeout = 10 * time.Second

// events tells what changes on the live page (server-sent events), until the browser goes away. A browser that is slow
// is told less often, and then what is so by then. lang is the language of the page.
func (c *Console) events(v *visit) error {
	if lang := v.URL.Query().Get("lang"); lang != "" {
		v.view = c.render.of(lang)
	}
	leave, err := c.hub.join(v.view)
	if err != nil {
		return err
	}
	defer leave()
	defer c.feed.audience.begin()()
	control := http.NewResponseController(v.w)
	_ = control.SetReadDeadline(time.Time{}) // where there are no deadlines, none is in the way
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.WriteHeader(http.StatusOK)
	if _, err := io.WriteString(v.w, "retry: 1000\n\n"); err != nil || control.Flush() != nil {
		return nil // it has gone
	}
	sent := int64(0)
	for {
		f, ok := c.hub.next(v.Context(), v.view)
		if !ok {
			return nil
		}
		_ = control.SetWriteDeadline(time.Now().Add(streamTimeout)) // as above
		if err := tell(v.w, f.after(sent)); err != nil || control.Flush() != nil {
			return nil // it has gone
		}
		sent = f.number
	}
}

// tell writes one message: the texts of regions, by their names.
func tell(w io.Writer, changed map[string]string) error {
	var data strings.Builder
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false) // it is no text of a page: the page has it parsed
	if err := encoder.Encode(changed); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "event: frame\ndata: %s\n\n", strings.TrimSpace(data.String()))
	return err
}
