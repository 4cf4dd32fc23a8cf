package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// Unreachable is the error of who has no connection to a server. It tells what mends that.
type Unreachable struct {
	Server string // what it is, and its addresses
	Why    error  // what the latest try to connect came to
	Denied bool   // the server does not take what it was told of who this is: time does not mend that
	Place  string // the part of the server that is not there, or not for this user: that is not about the password
}

func (u *Unreachable) Error() string {
	_, foreign := errors.AsType[*tls.CertificateVerificationError](u.Why)
	refused := strings.Contains(u.Why.Error(), "remote error: tls: ") // as crypto/tls tells what the other side said
	what, advice := "is away", "start it, or look at the broker URL"
	switch {
	case u.Place != "":
		what, advice = "has no "+u.Place+", or not for this user", "look at the path of the broker URL"
	case u.Denied:
		what, advice = "does not let this user in", "look at the user and the password, or the credentials file"
	case foreign:
		what = "shows a certificate that is not to be trusted"
		advice = "look at the authorities (PEM), and at the broker URL"
	case refused:
		what, advice = "does not take this side's certificate", "look at the certificate and its key (PEM)"
	}
	return fmt.Sprintf("%s %s (%v): %s", u.Server, what, u.Why, advice)
}

func (u *Unreachable) Unwrap() error { return u.Why }

// IsDenied reports whether a server has said that it does not take what it was told of who this is.
func IsDenied(err error) bool {
	u, _ := errors.AsType[*Unreachable](err)
	return u != nil && u.Denied
}
