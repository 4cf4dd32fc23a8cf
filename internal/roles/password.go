package roles

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// newPassword makes one that no file, URL or shell needs to quote.
func newPassword() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}

// verifier is what a server keeps of a password (RFC 5803): it can check it by that, and nobody can log in with it. A
// password of other signs than ASCII's would have to be normalised before.
func verifier(password string) (string, error) {
	for _, r := range password {
		if r <= ' ' || r > '~' {
			return "", errors.New("a password is not of plain signs: take its file away, and another is made")
		}
	}
	const iterations = 4096 // as PostgreSQL has it
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(keyed(salted, "Client Key"))
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		iterations, text(salt), text(stored[:]), text(keyed(salted, "Server Key"))), nil
}

func keyed(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
