package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"carillon/coordinator"
	"carillon/pki"
	"carillon/wire"
)

// certDir is where a machine keeps the certificate that it got with a token.
func (a *Agent) certDir() string { return filepath.Join(a.cfg.Dir, "tls") }

// given says whether somebody else looks after the certificate.
func (a *Agent) given() bool { return a.cfg.TLS != pki.Files{} }

// certs are the files of the machine's certificate.
func (a *Agent) certs() pki.Files {
	if a.given() {
		return a.cfg.TLS
	}
	return pki.FilesIn(a.certDir())
}

// identify returns who this machine is: what the user gave, or what it got with a token
// at an earlier start or gets now; nil on loopback, where nobody has to be anybody.
func (a *Agent) identify(ctx context.Context) (*pki.Identity, error) {
	if a.given() {
		return pki.Load(a.cfg.TLS)
	}
	dir := a.certDir()
	id, err := pki.Load(pki.FilesIn(dir))
	switch {
	case err == nil && time.Until(id.Expires()) > 0 && id.Name().Name == a.cfg.Name && a.ofThisCluster():
		return id, nil
	case a.cfg.Token != "":
		return a.join(ctx, dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("%s: the certificate is of %s and ends %s; a token (carillon ca token) gets another", dir, id.Name(), id.Expires().Format(time.RFC3339))
}

// ofThisCluster says whether the certificate that is there is of the token's cluster, if
// there is a token.
func (a *Agent) ofThisCluster() bool {
	if a.cfg.Token == "" {
		return true
	}
	t, err := pki.ParseToken(a.cfg.Token)
	return err == nil && t.Knows(pki.FilesIn(a.certDir()))
}

// join gets a certificate with the token. The key never leaves the machine.
func (a *Agent) join(ctx context.Context, dir string) (*pki.Identity, error) {
	t, err := pki.ParseToken(a.cfg.Token)
	if err != nil {
		return nil, err
	}
	request, err := pki.Request(dir)
	if err != nil {
		return nil, err
	}
	c, err := wire.Dial(wire.ControlConfig{Coordinators: a.coordinators(), TLS: t.Client(), Log: a.log})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	payload, err := json.Marshal(coordinator.Joining{Token: a.cfg.Token, Machine: a.cfg.Name, Request: request})
	if err != nil {
		return nil, err
	}
	answer, err := a.insist(ctx, func(ctx context.Context) ([]byte, error) { return c.Join(ctx, payload) })
	if err != nil {
		return nil, fmt.Errorf("join the cluster: %w", err)
	}
	a.log.Info("joined", "machine", a.cfg.Name)
	return keep(answer, dir)
}

// insist asks until there is an answer, and says why there is none.
func (a *Agent) insist(ctx context.Context, ask func(context.Context) ([]byte, error)) ([]byte, error) {
	for {
		asking, cancel := context.WithTimeoutCause(ctx, complainAfter, fmt.Errorf("no answer within %v", complainAfter))
		answer, err := ask(asking)
		cancel()
		var said *wire.RemoteError
		if err == nil || errors.As(err, &said) || ctx.Err() != nil {
			return answer, err
		}
		a.log.Warn("no coordinator answers; trying again", "error", err)
	}
}

// keep takes up what a coordinator granted.
func keep(answer []byte, dir string) (*pki.Identity, error) {
	var g pki.Granted
	if err := json.Unmarshal(answer, &g); err != nil {
		return nil, err
	}
	if err := g.Keep(dir); err != nil {
		return nil, err
	}
	return pki.Load(pki.FilesIn(dir))
}

// renewEvery is how often a machine looks whether its certificate ends soon.
const renewEvery = 10 * time.Second

// renew keeps the certificate that this machine got with a token from ending. Its nodes
// see the new one in its place.
func (a *Agent) renew(ctx context.Context) {
	if a.identity == nil || a.given() {
		return
	}
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for {
		if left := time.Until(a.identity.Expires()); left < pki.NodeLife*2/3 || a.identity.Distrusted() {
			if err := a.renewOnce(ctx); err != nil {
				a.log.Warn("the certificate could not be renewed; trying again", "ends in", left, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (a *Agent) renewOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewEvery)
	defer cancel()
	request, err := pki.Request(a.certDir())
	if err != nil {
		return err
	}
	answer, err := a.control.Renew(ctx, a.cfg.Name, request)
	if err != nil {
		return err
	}
	var g pki.Granted
	if err := json.Unmarshal(answer, &g); err != nil {
		return err
	}
	return g.Renew(a.certDir())
}
