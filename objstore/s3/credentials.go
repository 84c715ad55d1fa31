package s3

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

var errNoCredentials = errors.New("there are no credentials for the store")

// source is one of the places where people have credentials.
type source struct {
	name string
	credentials.Provider
}

// chain asks the sources in the order of AWS's own tools, and keeps to the first that has
// credentials until they expire. (The library's own chain forgets why the others had none.)
type chain struct {
	sources []source
	current credentials.Provider
}

var _ credentials.Provider = (*chain)(nil)

func newChain() *chain {
	c := &chain{sources: []source{
		{"environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)", &credentials.EnvAWS{}},
		{"profile " + profileName() + " of ~/.aws", &credentials.FileAWSCredentials{}},
	}}
	if hasRole() {
		c.sources = append(c.sources, source{"role of this machine, container or web identity", &credentials.IAM{Client: roleClient(), Endpoint: roleEndpoint()}})
	}
	return c
}

func profileName() string {
	if p := os.Getenv("AWS_PROFILE"); p != "" {
		return p
	}
	return "default"
}

// hasRole says whether a role may be asked for. The machine's metadata service takes a
// while to be silent where there is none.
func hasRole() bool {
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return !strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true")
}

func roleClient() *http.Client {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext}}
}

// roleEndpoint is who is asked for a role's credentials, where it is not AWS's own.
func roleEndpoint() string {
	switch {
	case os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return os.Getenv("AWS_ENDPOINT_URL_STS")
	case os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "":
		return ""
	}
	return os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")
}

// Retrieve implements credentials.Provider.
func (c *chain) Retrieve() (credentials.Value, error) { return c.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var errs []error
	for _, s := range c.sources {
		v, err := s.RetrieveWithCredContext(cc)
		if err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
			c.current = s.Provider
			return v, nil
		}
		if err == nil {
			err = errors.New("none")
		}
		errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
	}
	return credentials.Value{}, fmt.Errorf("%w: %s", errNoCredentials, oneLine(errs))
}

// IsExpired implements credentials.Provider.
func (c *chain) IsExpired() bool { return c.current == nil || c.current.IsExpired() }

func oneLine(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}
