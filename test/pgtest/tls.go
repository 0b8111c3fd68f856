package pgtest

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
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TLS has the paths of the files for a server with TLS.
type TLS struct {
	// CA is the certificate authority of the server and the client.
	CA string
	// Cert and Key are the client certificate of the user postgres.
	Cert, Key string
}

// EnableTLS gives the server a certificate for 127.0.0.1 and the lines of pg_hba.conf, such as "hostssl all all all
// cert", which it uses after its next start. The user postgres must be trusted without TLS.
func (s *Server) EnableTLS(tb testing.TB, hba ...string) TLS {
	tb.Helper()
	ca := newCertificate(tb, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true,
	})
	server := newCertificate(tb, ca, &x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	client := newCertificate(tb, ca, &x509.Certificate{Subject: pkix.Name{CommonName: "postgres"}})
	dir := tb.TempDir()
	files := TLS{
		CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "client.pem"), Key: filepath.Join(dir, "client.key"),
	}
	s.write(tb, files.CA, ca.cert)
	s.write(tb, files.Cert, client.cert)
	s.write(tb, files.Key, client.key)
	s.write(tb, filepath.Join(s.data(), "ca.pem"), ca.cert)
	s.write(tb, filepath.Join(s.data(), "server.crt"), server.cert)
	s.write(tb, filepath.Join(s.data(), "server.key"), server.key)
	s.write(tb, filepath.Join(s.data(), "postgresql.auto.conf"), []byte("ssl = on\nssl_ca_file = 'ca.pem'\n"))
	s.write(tb, filepath.Join(s.data(), "pg_hba.conf"), []byte(strings.Join(hba, "\n")+"\n"))
	return files
}

// write writes a file that only the server's account can read, and root.
func (s *Server) write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	err := os.WriteFile(path, data, 0o600)
	if err == nil && s.account != nil {
		err = os.Chown(path, int(s.account.Uid), int(s.account.Gid))
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// certificate is a certificate and its key as PEM, and parsed.
type certificate struct {
	cert, key []byte
	parsed    *x509.Certificate
	private   *ecdsa.PrivateKey
}

// newCertificate returns a certificate that is signed by ca, or by itself without a ca.
func newCertificate(tb testing.TB, ca *certificate, template *x509.Certificate) *certificate {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	c := &certificate{private: private}
	signer := c
	c.parsed = template
	if ca != nil {
		signer = ca
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.parsed, &private.PublicKey, signer.private)
	if err != nil {
		tb.Fatal(err)
	}
	if c.parsed, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	key, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	c.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.key = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})
	return c
}

// Execute executes a statement in the database "postgres" of the server.
func (s *Server) Execute(tb testing.TB, statement string) {
	tb.Helper()
	if err := execute(s.URL, statement); err != nil {
		tb.Fatal(err)
	}
}
