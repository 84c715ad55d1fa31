package s3

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	yes := true
	for _, tt := range []struct {
		text string
		want Address
	}{
		{"s3://b", Address{Bucket: "b"}},
		{"s3://b/", Address{Bucket: "b"}},
		{"s3://b/team/x/", Address{Bucket: "b", Prefix: "team/x"}},
		{"s3://b/p?endpoint=http://h:9000&region=eu-west-1&path_style=true", Address{Bucket: "b", Prefix: "p", Endpoint: "http://h:9000", Region: "eu-west-1", PathStyle: &yes}},
		{"s3://b?sse=aws:kms&sse_kms_key_id=k", Address{Bucket: "b", SSE: "aws:kms", KMSKey: "k"}},
	} {
		got, err := ParseAddress(tt.text)
		if got.PathStyle != nil && tt.want.PathStyle != nil && *got.PathStyle == *tt.want.PathStyle {
			got.PathStyle = tt.want.PathStyle
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.text, got, err)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "s3://BUCKET/PREFIX",
		"gs://b":                      "s3://BUCKET/PREFIX",
		"s3://":                       "names its bucket",
		"s3:///p":                     "names its bucket",
		"s3://key:secret@b":           "holds no credentials",
		"s3://b?secret=1":             `"secret" is not one of endpoint, region`,
		"s3://b?path_style=perhaps":   "neither true nor false",
		"s3://b?sse=rot13":            "neither AES256 nor aws:kms",
		"s3://b?sse_kms_key_id=k":     "needs sse=aws:kms",
		"s3://b?endpoint=h:9000":      "https://HOST[:PORT]",
		"s3://b?endpoint=http://h/p":  "https://HOST[:PORT]",
		"s3://b?endpoint=http://a@h/": "https://HOST[:PORT]",
		"s3://b?endpoint=https%3A%2F%2Fh%3Ftoken%3Dt": "https://HOST[:PORT]",
		"s3://%zz":     "s3://BUCKET/PREFIX",
		"s3://b?a=%zz": "key=value",
	} {
		if _, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("s3://b/p?endpoint=https://h&region=r&path_style=1&sse=AES256")
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := ParseAddress(text); err == nil && (a.Bucket == "" || strings.HasPrefix(a.Prefix, "/")) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}
