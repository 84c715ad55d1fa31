// Package s3test runs a real S3 server for tests: versitygw, on a free port of this
// machine, over a temporary folder.
package s3test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carillon/testtool"
)

// Credentials of the server.
const (
	AccessKey = "carillon"
	SecretKey = "a-secret-of-the-tests"
)

// Server is a running server with one bucket.
type Server struct {
	Endpoint string // http://127.0.0.1:PORT or https://
	Bucket   string
	CA       string // file of its certificate, with TLS
	Dir      string // folder of the objects
}

// Address is a place in the server's bucket.
func (s *Server) Address(prefix string) string {
	return "s3://" + s.Bucket + "/" + prefix + "?endpoint=" + s.Endpoint
}

// Objects is the folder on this machine in which the server keeps what is under a prefix.
func (s *Server) Objects(prefix string) string { return filepath.Join(s.Dir, s.Bucket, prefix) }

// Env is what a process needs to use the server.
func (s *Server) Env() []string {
	env := []string{"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey, "AWS_CONFIG_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true"}
	if s.CA != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.CA)
	}
	return env
}

// Start starts a server that ends with the test, and gives the test's process Env.
func Start(t testing.TB, secure bool) *Server {
	t.Helper()
	program := testtool.Build(t, "github.com/versity/versitygw", "cmd/versitygw")
	s := &Server{Bucket: "bucket", Dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(s.Dir, s.Bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	s.run(t, program, secure)
	for _, kv := range s.Env() {
		key, value, _ := strings.Cut(kv, "=")
		t.Setenv(key, value)
	}
	return s
}

// run starts the process and waits until it answers.
func (s *Server) run(t testing.TB, program string, secure bool) {
	address := testtool.Ports(t, 1)[0]
	args := []string{"--access", AccessKey, "--secret", SecretKey, "--port", address, "--quiet", "--health", "/health"}
	s.Endpoint = "http://" + address
	if secure {
		var key string
		s.CA, key = certificate(t)
		s.Endpoint = "https://" + address
		args = append(args, "--cert", s.CA, "--key", key)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "versitygw.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append(args, "posix", s.Dir)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		log.Close()
	})
	s.await(t, address, ended, log.Name())
}

// await waits until the server takes connections.
func (s *Server) await(t testing.TB, address string, ended chan error, log string) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			text, _ := os.ReadFile(log)
			t.Fatalf("versitygw ended: %v\n%s", err, text)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("versitygw does not answer")
}

// certificate makes a certificate for 127.0.0.1 that signs itself, and returns the files
// of it and of its key.
func certificate(t testing.TB) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "carillon tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(path, kind string, b []byte) {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(cert, "CERTIFICATE", der)
	write(key, "PRIVATE KEY", secret)
	return cert, key
}
