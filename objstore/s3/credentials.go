package s3

import (
	"errors"
	"fmt"
	"io/fs"
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
// It is used under the lock of credentials.Credentials.
type chain struct {
	sources []source
	current credentials.Provider
	last    credentials.Value // what current gave
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

// RetrieveWithCredContext implements credentials.Provider. Roles are asked again long
// before their credentials expire; if that fails, those that still hold are used.
func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var errs []error
	for _, s := range c.sources {
		v, err := s.RetrieveWithCredContext(cc)
		if err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
			c.current, c.last = s.Provider, v
			return v, nil
		}
		errs = append(errs, fmt.Errorf("%s: %s", s.name, s.why(err)))
	}
	switch {
	case c.current == nil:
		return credentials.Value{}, fmt.Errorf("%w: %s", errNoCredentials, oneLine(errs))
	case time.Now().Before(c.last.Expiration):
		return c.last, nil
	}
	return credentials.Value{}, fmt.Errorf("the credentials for the store are not renewed: %s", oneLine(errs))
}

// why says why a source has no credentials. The words of a parser are not repeated: they
// quote the line, and a secret may be on it.
func (s source) why(err error) string {
	_, file := s.Provider.(*credentials.FileAWSCredentials)
	switch {
	case err == nil:
		return "none"
	case !file, errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return err.Error()
	case strings.HasPrefix(err.Error(), "profile "), strings.HasPrefix(err.Error(), "section "):
		return err.Error()
	}
	return "the file cannot be parsed, or what it names does not work"
}

// IsExpired implements credentials.Provider. What says no time (keys in the environment or
// in a file) holds until a server says otherwise.
func (c *chain) IsExpired() bool {
	switch {
	case c.current == nil:
		return true
	case c.last.Expiration.IsZero():
		return false
	}
	return c.current.IsExpired()
}

func oneLine(errs []error) string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}
