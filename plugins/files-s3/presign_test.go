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
	b := open(t, block(s, s.NewBucket(t), map[string]any{
		"presigned_downloads": true, "presign_expiry": "1m", "public_endpoint": "http://" + public.Endpoint,
	}))
	keep(t, b, "a b/ü", []byte("hello"))
	ask := files.PresignRequest{
		Key: "a b/ü", Expires: time.Hour, ContentType: "text/x-test; charset=utf-8",
		ContentDisposition: `attachment; filename="a b.txt"; filename*=UTF-8''%C3%BC.txt`,
	}
	download := presign(t, b, ask)
	u, err := url.Parse(download)
	if err != nil || u.Host != public.Endpoint || u.Query().Get("X-Amz-Expires") != "60" {
		t.Errorf("the URL %s is not of %s, or not good for a minute", download, public.Endpoint)
	}
	if strings.Contains(download, s.SecretKey) {
		t.Error("the URL has the secret key")
	}
	status, header, body := fetch(t, download)
	if status != http.StatusOK || body != "hello" || header.Get("Content-Type") != ask.ContentType || header.Get("Content-Disposition") != ask.ContentDisposition {
		t.Errorf("GET gives %d, %q, %q", status, header, body)
	}
	if status, _, _ := fetch(t, strings.Replace(download, "x-test", "html", 1)); status != http.StatusForbidden {
		t.Errorf("a URL that was altered gives %d", status)
	}
	ask.Expires = time.Second
	short := presign(t, b, ask)
	deadline := time.Now().Add(10 * time.Second)
	for status := http.StatusOK; status != http.StatusForbidden; status, _, _ = fetch(t, short) {
		if time.Now().After(deadline) {
			t.Fatal("a URL for a second never ends")
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func presign(t *testing.T, b *backend, r files.PresignRequest) string {
	t.Helper()
	u, err := b.Presign(t.Context(), r)
	if err != nil || u == "" {
		t.Fatalf("Presign gives %q: %v", u, err)
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
