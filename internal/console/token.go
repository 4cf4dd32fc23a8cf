package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
)

// TokenKey is what the token is called in a URL.
const TokenKey = "token"

// hasForms reports whether anybody may act.
func (c *Console) hasForms() bool { return !c.config.ReadOnly && c.config.Token != "" }

// isToken reports whether a text is the token, and tells by no time how much of it is.
func (c *Console) isToken(text string) bool {
	got := sha256.Sum256([]byte(text))
	return c.hasForms() && subtle.ConstantTimeCompare(got[:], c.token[:]) == 1
}

// mayAct reports whether whoever sends a request has told the token.
func (c *Console) mayAct(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName(r))
	return err == nil && c.isToken(cookie.Value)
}

// refusal is why somebody may not act.
func (c *Console) refusal() error {
	if !c.hasForms() {
		return &problem{http.StatusForbidden, "problem.readonly", nil}
	}
	return &problem{http.StatusForbidden, "problem.token", nil}
}

// cookieName is of the port as well: browsers hold the ports of a machine to be one place, and another console may be
// at another one.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "hosho_console_" + port
}

// admitted takes the token out of the URL, where others could read it, and has the browser keep it.
func (c *Console) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if !query.Has(TokenKey) || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		if !c.isToken(query.Get(TokenKey)) {
			c.visited(route{"", func(*visit) error { return c.refusal() }}).ServeHTTP(w, r)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: cookieName(r), Value: query.Get(TokenKey), Path: "/",
			HttpOnly: true, SameSite: http.SameSiteStrictMode,
		})
		query.Del(TokenKey)
		to := *r.URL
		to.Scheme, to.Host, to.RawQuery = "", "", query.Encode()
		http.Redirect(w, r, to.RequestURI(), http.StatusSeeOther)
	})
}
