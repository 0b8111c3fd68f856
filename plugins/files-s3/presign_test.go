package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/test/s3test"
)

func TestPresign(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	public := s3test.NewProxy(t, s.Endpoint)
	b := open(t, configBlock(s, s.NewBucket(t), map[string]any{
		"presigned_downloads": true, "presign_expiry": "1m", "public_endpoint": "http://" + public.Endpoint,
	}))
	mustPut(t, b, "a b/ü", []byte("hello"))
	request := files.PresignRequest{
		Key: "a b/ü", Expires: time.Hour, ContentType: "text/x-test; charset=utf-8",
		ContentDisposition: `attachment; filename="a b.txt"; filename*=UTF-8''%C3%BC.txt`,
	}
	download := presign(t, b, request)
	u, err := url.Parse(download)
	if err != nil || u.Host != public.Endpoint || u.Query().Get("X-Amz-Expires") != "60" {
		t.Errorf("got URL %s, want one of %s that expires in 60 s", download, public.Endpoint)
	}
	if strings.Contains(download, s.SecretKey) {
		t.Error("the URL contains the secret key")
	}
	status, header, body := fetch(t, download)
	if status != http.StatusOK || body != "hello" || header.Get("Content-Type") != request.ContentType ||
		header.Get("Content-Disposition") != request.ContentDisposition {
		t.Errorf("GET = %d, %q, %q", status, header, body)
	}
	if status, _, _ := fetch(t, strings.Replace(download, "x-test", "html", 1)); status != http.StatusForbidden {
		t.Errorf("GET of an altered URL = %d, want 403", status)
	}
	request.Expires = time.Second
	short := presign(t, b, request)
	deadline := time.Now().Add(10 * time.Second)
	for status := http.StatusOK; status != http.StatusForbidden; status, _, _ = fetch(t, short) {
		if time.Now().After(deadline) {
			t.Fatal("a URL with an expiry of 1 s is still valid")
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func presign(t *testing.T, b *backend, r files.PresignRequest) string {
	t.Helper()
	u, err := b.Presign(t.Context(), r)
	if err != nil || u == "" {
		t.Fatalf("Presign() = %q, %v", u, err)
	}
	return u
}

func fetch(t *testing.T, u string) (int, http.Header, string) {
	t.Helper()
	resp, err := http.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}
