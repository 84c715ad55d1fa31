package s3

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/ini.v1"
)

// awsEndpoint is where a bucket is if nobody says otherwise.
const awsEndpoint = "https://s3.amazonaws.com"

// settings are what a machine says of the service, beside its credentials: by the
// variables and the config file of AWS's own tools.
type settings struct{ endpoint, region, caBundle string }

// complete fills in what the address leaves open.
func (a Address) complete() (settings, error) {
	p, err := readProfile()
	if err != nil {
		return settings{}, err
	}
	s := settings{
		endpoint: cmp.Or(a.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), p.endpoint),
		region:   cmp.Or(a.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), p.region),
		caBundle: cmp.Or(os.Getenv("AWS_CA_BUNDLE"), p.caBundle),
	}
	if s.endpoint != "" && !strings.HasSuffix(s.endpoint, ".amazonaws.com") {
		s.region = cmp.Or(s.region, "us-east-1") // what other servers take; AWS itself is asked
	}
	s.endpoint = cmp.Or(s.endpoint, awsEndpoint)
	return s, nil
}

// readProfile reads the profile in use from the config file, if there is one.
// (Credentials are read by the client library, from there and from the other file.)
func readProfile() (settings, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	path := cmp.Or(os.Getenv("AWS_CONFIG_FILE"), filepath.Join(home, ".aws", "config"))
	f, err := ini.LoadSources(ini.LoadOptions{Loose: true, SkipUnrecognizableLines: true}, path)
	if err != nil {
		return settings{}, fmt.Errorf("%s cannot be parsed", path) // the library's words repeat its lines
	}
	section := f.Section("default")
	if name := os.Getenv("AWS_PROFILE"); name != "" && name != "default" {
		section = f.Section("profile " + name)
	}
	value := func(key string) string { return section.Key(key).String() }
	return settings{value("endpoint_url"), value("region"), value("ca_bundle")}, nil
}
