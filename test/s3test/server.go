// Package s3test gives tests a real S3 server, and a network that fails on demand.
//
// The server is versitygw, which make test installs into the cache of tools, on
// loopback, with a folder of the test's. Set AGENTAREA_TEST_S3_URL to
// http://ACCESS:SECRET@host:port/?region=us-east-1 and the tests take that server
// instead, in buckets of their own.
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

// URLVariable names a server of one's own.
const URLVariable = "AGENTAREA_TEST_S3_URL"

// patience is how long the server may take to start, and for what the tests ask
// of it themselves.
const patience = 30 * time.Second

// Server is an S3 server.
type Server struct {
	// Endpoint is host:port, and Secure is true for https.
	Endpoint string
	Secure   bool
	// AccessKey and SecretKey may do everything.
	AccessKey, SecretKey string
	Region               string
	// Client speaks to the server as its owner.
	Client *minio.Core
	// Pid is the server's process; 0 for a server of one's own.
	Pid int
}

// Start gives a server that ends with the test.
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
	s := &Server{Endpoint: u.Host, Secure: u.Scheme == "https", AccessKey: u.User.Username(), Region: u.Query().Get("region")}
	s.SecretKey, _ = u.User.Password()
	if s.Region == "" {
		s.Region = "us-east-1"
	}
	s.connect(tb)
	return s
}

// URL is the endpoint with its scheme.
func (s *Server) URL() string {
	if s.Secure {
		return "https://" + s.Endpoint
	}
	return "http://" + s.Endpoint
}

func (s *Server) connect(tb testing.TB) {
	tb.Helper()
	// A transport of its own, so that no connection outlives the test.
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

// NewBucket makes an empty bucket, which goes with the test.
func (s *Server) NewBucket(tb testing.TB) string {
	tb.Helper()
	name := s.NewName(tb)
	if err := s.Client.MakeBucket(tb.Context(), name, minio.MakeBucketOptions{Region: s.Region}); err != nil {
		tb.Fatalf("make a bucket: %v", err)
	}
	return name
}

// NewName is a name for a bucket that is not there. If it is made, it goes with
// the test.
func (s *Server) NewName(tb testing.TB) string {
	name := "test-" + strings.ToLower(rand.Text())
	if s.Pid == 0 {
		tb.Cleanup(func() { s.remove(tb, name) })
	}
	return name
}

// remove cleans up on a server that outlives the test.
func (s *Server) remove(tb testing.TB, bucket string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	if there, err := s.Client.BucketExists(ctx, bucket); err == nil && !there {
		return
	}
	for o := range s.Client.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err == nil {
			o.Err = s.Client.RemoveObject(ctx, bucket, o.Key, minio.RemoveObjectOptions{})
		}
		if o.Err != nil {
			tb.Errorf("clean up the bucket %s: %v", bucket, o.Err)
			return
		}
	}
	for _, name := range s.Uploads(tb, bucket) {
		if err := s.Client.RemoveIncompleteUpload(ctx, bucket, name); err != nil {
			tb.Errorf("clean up the bucket %s: %v", bucket, err)
		}
	}
	if err := s.Client.RemoveBucket(ctx, bucket); err != nil {
		tb.Errorf("remove the bucket %s: %v", bucket, err)
	}
}

// Objects are the names of a bucket's objects.
func (s *Server) Objects(tb testing.TB, bucket string) (names []string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	for o := range s.Client.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			tb.Fatalf("list the bucket %s: %v", bucket, o.Err)
		}
		names = append(names, o.Key)
	}
	return names
}

// Uploads are the names of the multipart uploads that a bucket has and that have
// not ended, one for each.
func (s *Server) Uploads(tb testing.TB, bucket string) (names []string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	result, err := s.Client.ListMultipartUploads(ctx, bucket, "", "", "", "", 1000)
	if err != nil {
		tb.Fatalf("list the uploads of %s: %v", bucket, err)
	}
	for _, u := range result.Uploads {
		names = append(names, u.Key)
	}
	return names
}
