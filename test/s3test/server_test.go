package s3test

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"testing"

	"github.com/minio/minio-go/v7"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := Start(t)
	bucket := s.NewBucket(t)
	if _, err := s.Client.Client.PutObject(t.Context(), bucket, "a/b", bytes.NewReader([]byte("hello")), 5,
		minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if names := s.Objects(t, bucket); len(names) != 1 || names[0] != "a/b" {
		t.Errorf("Objects = %q, want a/b", names)
	}
	if _, err := s.Client.NewMultipartUpload(t.Context(), bucket, "c", minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if names := s.Uploads(t, bucket); len(names) != 1 || names[0] != "c" {
		t.Errorf("Uploads = %q, want c", names)
	}
}

func TestVersionIsTheMakefiles(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^VERSITYGW_VERSION +:= ` + regexp.QuoteMeta(version) + "$").Match(makefile) {
		t.Errorf("the Makefile's VERSITYGW_VERSION is not %s", version)
	}
}

func TestServerRejectsForgedSignatures(t *testing.T) {
	t.Parallel()
	s := Start(t)
	bucket := s.NewBucket(t)
	forged := *s
	forged.SecretKey += "x"
	forged.connect(t)
	_, err := forged.Client.Client.PutObject(t.Context(), bucket, "a", bytes.NewReader([]byte("hello")), 5,
		minio.PutObjectOptions{})
	if code := minio.ToErrorResponse(err).Code; code != minio.SignatureDoesNotMatch {
		t.Errorf("PutObject with a wrong key: %v, want SignatureDoesNotMatch", err)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	s := Start(t)
	bucket := s.NewBucket(t)
	p := NewProxy(t, s.Endpoint)
	through := *s
	through.Endpoint = p.Endpoint
	through.connect(t)
	put := func(size int) error {
		_, err := through.Client.PutObject(t.Context(), bucket, "a", io.LimitReader(zero{}, int64(size)), int64(size), "",
			"", minio.PutObjectOptions{})
		return err
	}
	if err := put(1 << 20); err != nil {
		t.Fatal(err)
	}
	p.DownAfter(100 << 10)
	if err := put(1 << 20); err == nil {
		t.Error("an upload through a proxy that went down succeeds")
	}
	if err := put(1); err == nil {
		t.Error("an upload while the proxy is down succeeds")
	}
	p.Up()
	if err := put(1 << 20); err != nil {
		t.Error(err)
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
