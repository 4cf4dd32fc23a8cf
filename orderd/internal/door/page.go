package door

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	texttemplate "text/template"
)

//go:embed openapi/openapi.swagger.json
var openapi []byte

//go:embed page.txt
var pageText string

var (
	page = texttemplate.Must(texttemplate.New("page").Parse(pageText))
	// frame is the same text for a browser.
	frame = template.Must(template.New("frame").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hosho: orders as JSON</title>
<style>body { margin: 2em auto; max-width: 60em; padding: 0 1em } pre { white-space: pre-wrap }</style>
<pre>{{.}}</pre>
</html>
`))
)

var plainHost = regexp.MustCompile(`^[\w.:\[\]-]+$`)

// pages are what is answered besides calls.
var pages = map[string]http.HandlerFunc{"/": servePage, "/openapi.json": serveDocument}

// serveDocument answers the calls as OpenAPI describes them.
func serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(openapi) // who does not wait for it has gone
}

// servePage lists the calls, as lines to be typed: for a browser, or as plain text.
func servePage(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if !plainHost.MatchString(host) { // it stands in lines for a shell
		host = "localhost"
	}
	data := struct{ Base, Options string }{"http://" + host, ""}
	if r.TLS != nil {
		data.Base, data.Options = "https://"+host, " --cacert ca.crt --cert tls.crt --key tls.key"
	}
	var text, out bytes.Buffer
	err := page.Execute(&text, data)
	kind := "text/plain; charset=utf-8"
	if strings.Contains(r.Header.Get("Accept"), "text/html") && err == nil {
		kind = "text/html; charset=utf-8"
		err = frame.Execute(&out, text.String())
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	} else {
		out = text
	}
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(out.Bytes()) // who does not wait for it has gone
}
