// Package s3test provides a real S3 server for tests, and a network that fails on demand.
//
// The server is versitygw, which make test-setup installs. It runs on loopback and stores
// objects in a temporary folder. If AGENTAREA_TEST_S3_URL is set to
// http://ACCESS:SECRET@host:port/?region=us-east-1, tests use that server instead, with new buckets.
package s3test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// URLVariable is an environment variable with the URL of an S3 server for the tests.
const URLVariable = "AGENTAREA_TEST_S3_URL"

// startTimeout bounds the server's start and each request of this package. It is long enough
// for a busy machine.
const startTimeout = 2 * time.Minute

// Server is an S3 server.
type Server struct {
	// Endpoint is host:port. Secure is true for https.
	Endpoint string
	Secure   bool
	// AccessKey and SecretKey are the credentials of the server's owner.
	AccessKey, SecretKey string
	Region               string
	// Client sends requests as the server's owner.
	Client *minio.Core
	// Pid is the id of the server's process. It is 0 for the server of URLVariable.
	Pid int
}

// Start returns a server that ends with the test. Without one the test is skipped.
func Start(tb testing.TB) *Server {
	tb.Helper()
	if raw := os.Getenv(URLVariable); raw != "" {
		return external(tb, raw)
	}
	return launch(tb)
}

func external(tb testing.TB, raw string) *Server {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User == nil || (u.Scheme != "http" && u.Scheme != "https") {
		tb.Fatalf("%s must be like http://ACCESS:SECRET@host:port/?region=us-east-1", URLVariable)
	}
	s := &Server{
		Endpoint: u.Host, Secure: u.Scheme == "https", AccessKey: u.User.Username(), Region: u.Query().Get("region"),
	}
	s.SecretKey, _ = u.User.Password()
	if s.Region == "" {
		s.Region = "us-east-1"
	}
	s.connect(tb)
	return s
}

// URL returns the endpoint with its scheme.
func (s *Server) URL() string {
	if s.Secure {
		return "https://" + s.Endpoint
	}
	return "http://" + s.Endpoint
}

func (s *Server) connect(tb testing.TB) {
	tb.Helper()
	// With its own transport, no connection outlives the test.
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	tb.Cleanup(transport.CloseIdleConnections)
	var err error
	s.Client, err = minio.NewCore(s.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Secure: s.Secure, Region: s.Region,
		BucketLookup: minio.BucketLookupPath, Transport: transport,
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// NewBucket creates an empty bucket, which is removed when the test ends.
func (s *Server) NewBucket(tb testing.TB) string {
	tb.Helper()
	name := s.NewName(tb)
	if err := s.Client.MakeBucket(tb.Context(), name, minio.MakeBucketOptions{Region: s.Region}); err != nil {
		tb.Fatalf("create bucket %s: %v", name, err)
	}
	return name
}

// NewName returns a name for a new bucket. If the test creates it, it is removed when the test ends.
func (s *Server) NewName(tb testing.TB) string {
	name := "test-" + strings.ToLower(rand.Text())
	if s.Pid == 0 {
		tb.Cleanup(func() { s.remove(tb, name) })
	}
	return name
}

// remove deletes a bucket with its objects and unfinished uploads, if it exists.
func (s *Server) remove(tb testing.TB, bucket string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), startTimeout)
	defer cancel()
	if there, err := s.Client.BucketExists(ctx, bucket); err == nil && !there {
		return
	}
	for o := range s.Client.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err == nil {
			o.Err = s.Client.RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{})
		}
		if o.Err != nil {
			tb.Errorf("remove the contents of bucket %s: %v", bucket, o.Err)
			return
		}
	}
	for _, name := range s.Uploads(tb, bucket) {
		if err := s.Client.RemoveIncompleteUpload(ctx, bucket, name); err != nil {
			tb.Errorf("remove the contents of bucket %s: %v", bucket, err)
		}
	}
	if err := s.Client.RemoveBucket(ctx, bucket); err != nil {
		tb.Errorf("remove bucket %s: %v", bucket, err)
	}
}

// Objects returns the names of a bucket's objects.
func (s *Server) Objects(tb testing.TB, bucket string) (names []string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), startTimeout)
	defer cancel()
	for o := range s.Client.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			tb.Fatalf("list bucket %s: %v", bucket, o.Err)
		}
		names = append(names, o.Key)
	}
	return names
}

// Uploads returns the object name of each unfinished multipart upload in a bucket.
func (s *Server) Uploads(tb testing.TB, bucket string) (names []string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), startTimeout)
	defer cancel()
	result, err := s.Client.ListMultipartUploads(ctx, bucket, "", "", "", "", 1000)
	if err != nil {
		tb.Fatalf("list the uploads of bucket %s: %v", bucket, err)
	}
	for _, u := range result.Uploads {
		names = append(names, u.Key)
	}
	return names
}
