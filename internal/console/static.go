package console

import (
	"embed"
	"io"
	"net/http"
	"path"
)

//go:embed static
var staticFiles embed.FS

// kinds are what the static files are.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// readyz answers those who ask whether the console is there, as `sagactl healthcheck` does. How the daemons do is none
// of its health.
func (c *Console) readyz(v *visit) error {
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(v.w, "ready\n") // who does not wait for it has gone
	return nil
}

// static answers with a file that is the same for everybody.
func (c *Console) static(v *visit) error {
	name := v.PathValue("name")
	text, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		return c.unknown(v)
	}
	v.w.Header().Set("Content-Type", kinds[path.Ext(name)])
	v.w.Header().Set("Cache-Control", "no-cache")
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(text) // who does not wait for it has gone
	return nil
}
