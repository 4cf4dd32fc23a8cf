package console

import (
	"embed"
	"net/http"
	"path"
)

//go:embed static
var staticFiles embed.FS

// kinds are what the static files are.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
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
