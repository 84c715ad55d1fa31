package pki

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Token is what lets a machine become a node: where the coordinators are, how to
// know them, and a secret that they know to be of this cluster.
type Token struct {
	ID           string    `json:"id"` // random; the ledger counts its uses
	Coordinators []string  `json:"coordinators"`
	CA           string    `json:"ca"` // SHA-256 of the authority's certificate, hex
	Expires      time.Time `json:"expires"`
	Uses         int       `json:"uses"` // how many machines may use it
}

// tokenPrefix tells a token from other secrets, to people and to scanners.
const tokenPrefix = "carillon-join-1."

// ErrToken is in the chain of errors about a token that is none, or not any more.
var ErrToken = errors.New("join token")

// Token makes a token, as the one string that it is.
func (a *Authority) Token(coordinators []string, ttl time.Duration, uses int) (string, error) {
	secret, err := os.ReadFile(filepath.Join(a.dir, TokenKeyFile))
	if err != nil {
		return "", err
	}
	t := Token{ID: rand.Text(), Coordinators: coordinators, CA: fingerprint(a.cert.Raw), Expires: time.Now().Add(ttl).UTC().Truncate(time.Second), Uses: uses}
	body, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	text := tokenPrefix + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(secret, text)), nil
}

// ParseToken reads a token without knowing whether it is genuine. Errors do not
// repeat it.
func ParseToken(s string) (t Token, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), tokenPrefix)
	body, _, whole := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(body)
	if !ok || !whole || err != nil || json.Unmarshal(data, &t) != nil || len(t.Coordinators) == 0 {
		return Token{}, fmt.Errorf("%w: it is not what carillon ca token prints, which begins with %s", ErrToken, tokenPrefix)
	}
	return t, nil
}

// check reads a token and makes sure that it is of this secret, and not too old.
func check(secret []byte, s string, now time.Time) (Token, error) {
	t, err := ParseToken(s)
	if err != nil {
		return t, err
	}
	s = strings.TrimSpace(s)
	i := strings.LastIndexByte(s, '.')
	mac, err := base64.RawURLEncoding.DecodeString(s[i+1:])
	switch {
	case err != nil || !hmac.Equal(mac, sign(secret, s[:i])):
		return t, fmt.Errorf("%w: it is of another cluster, or was changed", ErrToken)
	case now.After(t.Expires):
		return t, fmt.Errorf("%w: it has expired (%s); carillon ca token makes another", ErrToken, t.Expires.Format(time.RFC3339))
	}
	return t, nil
}

func sign(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
