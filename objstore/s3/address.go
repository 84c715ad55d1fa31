package s3

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Address is a place in a bucket, as a URL says it:
//
//	s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&path_style=BOOL&sse=AES256|aws:kms&sse_kms_key_id=ID&requests_per_second=N]
//
// It holds no credentials and names no file, so that it means the same on every
// machine of a job.
type Address struct {
	Bucket, Prefix string
	Endpoint       string  // of the service, a URL; "" is what the environment says, or AWS
	Region         string  // "" is what the environment says
	PathStyle      *bool   // the bucket in the path, not in the host's name; nil: with an Endpoint
	SSE            string  // server-side encryption: "", "AES256" or "aws:kms"
	KMSKey         string  // the key of aws:kms; "" is the bucket's own
	PerSecond      float64 // requests of one process; 0: as many as it likes
}

// Scheme is what the addresses of this package begin with.
const Scheme = "s3://"

var addressKeys = []string{"endpoint", "region", "path_style", "sse", "sse_kms_key_id", "requests_per_second"}

// ParseAddress reads an address. No error repeats it whole: people put secrets into URLs.
func ParseAddress(text string) (Address, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || !strings.HasPrefix(text, Scheme):
		return Address{}, errors.New("a store's address is s3://BUCKET/PREFIX, and what follows a ? is key=value with & between")
	case u.User != nil:
		return Address{}, errors.New("a store's address holds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	case u.Host == "":
		return Address{}, errors.New("a store's address names its bucket: s3://BUCKET/PREFIX")
	}
	a := Address{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Address{}, fmt.Errorf("s3://%s: what follows the ? is key=value with & between", a.Bucket)
	}
	for key := range q {
		if !slices.Contains(addressKeys, key) {
			return Address{}, fmt.Errorf("s3://%s: the key %q is not one of %s", a.Bucket, key, strings.Join(addressKeys, ", "))
		}
	}
	a.Endpoint, a.Region, a.SSE, a.KMSKey = q.Get("endpoint"), q.Get("region"), q.Get("sse"), q.Get("sse_kms_key_id")
	if err := a.setPathStyle(q.Get("path_style")); err != nil {
		return Address{}, err
	}
	if err := a.setPerSecond(q.Get("requests_per_second")); err != nil {
		return Address{}, err
	}
	return a, a.check()
}

func (a *Address) setPerSecond(text string) (err error) {
	if text == "" {
		return nil
	}
	if a.PerSecond, err = strconv.ParseFloat(text, 64); err != nil || !(a.PerSecond > 0 && a.PerSecond <= 1e6) {
		return fmt.Errorf("s3://%s: requests_per_second: %q is no number above 0", a.Bucket, text)
	}
	return nil
}

func (a *Address) setPathStyle(text string) error {
	if text == "" {
		return nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("s3://%s: path_style: %q is neither true nor false", a.Bucket, text)
	}
	a.PathStyle = &b
	return nil
}

func (a Address) check() error {
	switch {
	case a.SSE != "" && a.SSE != "AES256" && a.SSE != "aws:kms":
		return fmt.Errorf("s3://%s: sse: %q is neither AES256 nor aws:kms", a.Bucket, a.SSE)
	case a.KMSKey != "" && a.SSE != "aws:kms":
		return fmt.Errorf("s3://%s: sse_kms_key_id needs sse=aws:kms", a.Bucket)
	}
	if a.Endpoint == "" {
		return nil
	}
	_, err := parseEndpoint(a.Endpoint)
	return err
}

// parseEndpoint reads the URL of a service.
func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the endpoint of a store is https://HOST[:PORT], or http:// of a server on a network that you trust")
	}
	return u, nil
}
