package s3

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carillon/objstore"
	"carillon/objstore/storetest/s3test"
)

// nobody takes every credential away that the process has.
func nobody(t *testing.T) (home string) {
	home = t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ACCESS_KEY", "AWS_SECRET_KEY",
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE",
	} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return home
}

// lives makes sure that a store serves.
func lives(t *testing.T, s *Store) {
	t.Helper()
	if err := s.PutIfAbsent(t.Context(), "x", strings.NewReader("x"), 1); err != nil {
		t.Error(err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// roleCredentials is what metadata services answer.
func roleCredentials() map[string]any {
	return map[string]any{"Code": "Success", "AccessKeyId": s3test.AccessKey, "SecretAccessKey": s3test.SecretKey, "Expiration": time.Now().Add(time.Hour)}
}

func TestCredentialsAreWherePeopleHaveThem(t *testing.T) {
	server := s3test.Start(t, false)
	pair := fmt.Sprintf("aws_access_key_id = %s\naws_secret_access_key = %s\n", s3test.AccessKey, s3test.SecretKey)
	for name, give := range map[string]func(t *testing.T, home string){
		"environment": func(t *testing.T, _ string) {
			t.Setenv("AWS_ACCESS_KEY_ID", s3test.AccessKey)
			t.Setenv("AWS_SECRET_ACCESS_KEY", s3test.SecretKey)
		},
		"credentials file": func(t *testing.T, home string) {
			writeFile(t, filepath.Join(home, ".aws", "credentials"), "[default]\n"+pair)
		},
		"profile": func(t *testing.T, home string) {
			t.Setenv("AWS_PROFILE", "team")
			writeFile(t, filepath.Join(home, ".aws", "config"), "[profile team]\nregion = us-east-1\n"+pair)
		},
		"process": func(t *testing.T, home string) {
			b, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": s3test.AccessKey, "SecretAccessKey": s3test.SecretKey})
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(home, "answer"), string(b))
			writeFile(t, filepath.Join(home, ".aws", "config"), "[default]\ncredential_process = cat "+filepath.Join(home, "answer")+"\n")
		},
		"container": func(t *testing.T, _ string) {
			role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(roleCredentials()) }))
			t.Cleanup(role.Close)
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL+"/role")
		},
		"machine's role": func(t *testing.T, _ string) {
			role := httptest.NewServer(http.HandlerFunc(metadata))
			t.Cleanup(role.Close)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", role.URL)
		},
		"web identity": func(t *testing.T, home string) {
			sts := httptest.NewServer(http.HandlerFunc(assumeRole))
			t.Cleanup(sts.Close)
			writeFile(t, filepath.Join(home, "token"), "a-token")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, "token"))
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/trainer")
			t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			give(t, nobody(t))
			lives(t, open(t, server))
		})
	}
}

// metadata speaks the second version of the EC2 instance metadata service.
func metadata(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		fmt.Fprint(w, "session")
	case r.Header.Get("X-aws-ec2-metadata-token") != "session":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
		fmt.Fprint(w, "trainer")
	default:
		_ = json.NewEncoder(w).Encode(roleCredentials())
	}
}

// assumeRole answers AssumeRoleWithWebIdentity.
func assumeRole(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("WebIdentityToken") != "a-token" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	type creds struct {
		AccessKeyId, SecretAccessKey, SessionToken string
		Expiration                                 time.Time
	}
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
		Creds   creds    `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}{Creds: creds{s3test.AccessKey, s3test.SecretKey, "", time.Now().Add(time.Hour)}})
}

// Credentials of a role end while a chunk is stored, whose PUT a HEAD goes before: the next
// try has new ones.
func TestExpiredCredentialsAreAskedForAgain(t *testing.T) {
	server := s3test.Start(t, false)
	for _, method := range []string{http.MethodPut, http.MethodHead} { // a refused HEAD has no words
		t.Run(method, func(t *testing.T) { askedForAgain(t, server, method) })
	}
}

func askedForAgain(t *testing.T, server *s3test.Server, method string) {
	nobody(t)
	var asked atomic.Int32
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_ = json.NewEncoder(w).Encode(roleCredentials())
	}))
	t.Cleanup(role.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL+"/role")
	raw, n := faulty(t, server)
	n.expect(method, answers(http.StatusBadRequest, "ExpiredToken"))
	s := objstore.Retry(raw, 10*time.Second)
	if err := s.PutIfAbsent(t.Context(), "chunk", strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 2 {
		t.Errorf("the role was asked for %d times, want 2", asked.Load())
	}
}

// A role's service is silent when it is asked for new credentials: the old ones serve while
// they hold, and then it is a failure that passes.
func TestASilentRoleIsNoLackOfCredentials(t *testing.T) {
	server := s3test.Start(t, false)
	nobody(t)
	var silent atomic.Bool
	ends := time.Now().Add(time.Hour)
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if silent.Load() {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		c := roleCredentials()
		c["Expiration"] = ends
		_ = json.NewEncoder(w).Encode(c)
	}))
	t.Cleanup(role.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL+"/role")
	s := open(t, server)
	lives(t, s)
	silent.Store(true)
	s.credentials.Expire()
	if err := s.Remove(t.Context(), "x"); err != nil {
		t.Errorf("credentials that hold for another hour are not used: %v", err)
	}
	ends = time.Now().Add(-time.Minute)
	silent.Store(false)
	s.credentials.Expire()
	_ = s.Remove(t.Context(), "x")
	silent.Store(true)
	s.credentials.Expire()
	if err := s.Remove(t.Context(), "x"); !errors.Is(err, objstore.ErrTemporary) {
		t.Errorf("%v, want ErrTemporary", err)
	}
}

func TestTheProfileSaysWhereTheBucketIs(t *testing.T) {
	server := s3test.Start(t, true)
	home := nobody(t)
	writeFile(t, filepath.Join(home, ".aws", "config"), fmt.Sprintf("[default]\nendpoint_url = %s\nca_bundle = %s\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		server.Endpoint, server.CA, s3test.AccessKey, s3test.SecretKey))
	a, err := ParseAddress("s3://" + server.Bucket + "/by/profile")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	lives(t, s)
}

// Errors say what to do, and never what the secret is.
func TestErrorsSayWhatToDo(t *testing.T) {
	server := s3test.Start(t, true)
	plain := s3test.Start(t, false)
	for _, tt := range []struct {
		name, address, want string
		change              func(t *testing.T)
	}{
		{"no bucket", "s3://nobody?endpoint=" + plain.Endpoint, "there is no bucket nobody", nil},
		{"wrong secret", plain.Address("x"), "refuses these credentials: 403", func(t *testing.T) { t.Setenv("AWS_SECRET_ACCESS_KEY", "b-secret-of-the-tests") }},
		{"no credentials", plain.Address("x"), "there are no credentials for the store: environment", func(t *testing.T) { nobody(t) }},
		{"spoiled file", plain.Address("x"), "the file cannot be parsed", func(t *testing.T) {
			writeFile(t, filepath.Join(nobody(t), ".aws", "credentials"), "[default]\n"+s3test.SecretKey+"\n")
		}},
		{"unknown CA", server.Address("x"), "set AWS_CA_BUNDLE", func(t *testing.T) { t.Setenv("AWS_CA_BUNDLE", "") }},
		{"no TLS", strings.Replace(plain.Address("x"), "http:", "https:", 1), "is its endpoint http://?", nil},
		{"nobody there", "s3://bucket?endpoint=http://127.0.0.1:1", "connection refused", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if server.CA != "" {
				t.Setenv("AWS_CA_BUNDLE", server.CA)
			}
			if tt.change != nil {
				tt.change(t)
			}
			a, err := ParseAddress(tt.address)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(a)
			if err != nil {
				t.Fatal(err)
			}
			err = s.PutIfAbsent(t.Context(), "x", strings.NewReader("x"), 1)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v\nwant one line with %q", err, tt.want)
			}
			if temporary := errors.Is(err, objstore.ErrTemporary); temporary != (tt.name == "nobody there") {
				t.Errorf("temporary: %v: %v", temporary, err)
			}
			for _, secret := range []string{s3test.SecretKey, "b-secret-of-the-tests", "Signature="} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%v tells a secret", err)
				}
			}
		})
	}
}

func TestABundleWithoutCertificatesIsAnError(t *testing.T) {
	nobody(t)
	path := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, path, "nothing")
	t.Setenv("AWS_CA_BUNDLE", path)
	_, err := Open(Address{Bucket: "b", Endpoint: "https://127.0.0.1"})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want an error that names %s", err, path)
	}
}
