package coordinator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"carillon/ledger"
	"carillon/pki"
	"carillon/wire"
)

// Joining is what a machine sends with a token.
type Joining struct {
	Token   string `json:"token"`
	Machine string `json:"machine"` // the name that it wants
	Request []byte `json:"request"` // signing request, DER
}

// join certifies a machine that has a token, which is used by it.
func (c *Coordinator) join(payload []byte) ([]byte, error) {
	var j Joining
	if err := json.Unmarshal(payload, &j); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	t, err := c.cfg.Issuer.Check(j.Token)
	if err != nil {
		return nil, err
	}
	if err := c.welcome(j.Machine); err != nil {
		return nil, err
	}
	granted, err := c.cfg.Issuer.Certify(j.Request, j.Machine)
	if err != nil {
		return nil, err
	}
	request := sha256.Sum256(append([]byte(j.Machine+" "), j.Request...))
	err = c.agree(ledger.Entry{Redeem: &ledger.Redeem{Token: t.ID, Machine: j.Machine, Request: hex.EncodeToString(request[:]), Uses: t.Uses, Expires: t.Expires}})
	if errors.Is(err, ledger.ErrVoid) {
		return nil, fmt.Errorf("%w: %w", pki.ErrToken, err)
	}
	if err != nil {
		return nil, err
	}
	c.log.Info("a machine was certified", "machine", j.Machine, "token", t.ID)
	return json.Marshal(granted)
}

// renewCertificate gives a machine another certificate in time. Whoever asks has shown
// the one before.
func (c *Coordinator) renewCertificate(machine string, request []byte) ([]byte, error) {
	if c.cfg.Identity.Revoked(c.cfg.Identity.Name()) {
		return nil, errors.New("this coordinator is revoked, and so is what it certifies")
	}
	if err := c.welcome(machine); err != nil {
		return nil, err
	}
	granted, err := c.cfg.Issuer.Certify(request, machine)
	if err != nil {
		return nil, err
	}
	return json.Marshal(granted)
}

func (c *Coordinator) welcome(machine string) error {
	n := pki.Name{Role: pki.Node, Name: machine}
	if slices.Contains(c.ledger.State().Revoked, n.String()) {
		return fmt.Errorf("%s is revoked; take another name", n)
	}
	return pki.CheckName(machine)
}

// revoke answers VerbRevoke.
func (c *Coordinator) revoke(payload []byte) ([]byte, error) {
	n, err := pki.ParseName(string(payload))
	if err != nil {
		return nil, err
	}
	return nil, c.agree(ledger.Entry{Revoke: &ledger.Revoke{Name: n.String()}})
}

// heedRevoked makes what was revoked refused here, too.
func (c *Coordinator) heedRevoked() {
	if c.cfg.Identity != nil && c.cfg.Identity.RevokeAll(c.ledger.State().Revoked) {
		c.hub.Expel()
		c.ledger.Expel()
	}
}

// agree adds an entry to the ledger on request.
func (c *Coordinator) agree(e ledger.Entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), agreePatience)
	defer cancel()
	if c.ledger.Term() == 0 {
		return &wire.NotLeader{Addr: c.leaderAddr()}
	}
	e.Time = time.Now().UTC()
	err := c.ledger.Propose(ctx, e)
	c.poke()
	if errors.Is(err, ledger.ErrNotLeader) {
		return &wire.NotLeader{} // who leads now is not known yet
	}
	return err
}
