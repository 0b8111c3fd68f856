package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/s3test"
)

// bucket is a bucket of an S3 server behind a proxy that can fail.
type bucket struct {
	t     *testing.T
	s3    *s3test.Server
	proxy *s3test.Proxy
	name  string
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	s3 := s3test.Start(t)
	return &bucket{t, s3, s3test.NewProxy(t, s3.Endpoint), s3.NewBucket(t)}
}

// plugins returns a plugins.hcl with a local backend and the bucket. New files go to the backend
// active. more is added to the config of the bucket.
func (b *bucket) plugins(active, more string) string {
	scheme, _, _ := strings.Cut(b.s3.URL(), "://")
	return fmt.Sprintf(`
file_backend = %q

plugin "files" "local" {
  command = "files-local"
}

plugin "files" "s3" {
  command = "files-s3"
  config {
    endpoint   = "%s://%s"
    region     = %q
    bucket     = %q
    access_key = %q
    secret_key = %q
    timeout    = "2s"
    %s
  }
}
`, active, scheme, b.proxy.Endpoint, b.s3.Region, b.name, b.s3.AccessKey, b.s3.SecretKey, more)
}

// waitObjects waits until the bucket has n objects and no unfinished upload.
func (b *bucket) waitObjects(n int) {
	b.t.Helper()
	eventually(b.t, itoa(n)+" objects in the bucket", func() bool {
		return len(b.s3.Objects(b.t, b.name)) == n && len(b.s3.Uploads(b.t, b.name)) == 0
	})
}

// Files are stored in a bucket as they are in a folder, and move from one to the other and back.
func TestS3(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := start(t, b.plugins("local", ""))
	c := s.signIn()
	var files []file
	for i := range 20 {
		files = append(files, c.upload("first", randomBytes(uint64(i), 100<<10)))
	}
	s.writePlugins(b.plugins("s3", ""))
	c.reload()
	large := randomBytes(100, 12<<20+1) // several parts
	for name, data := range map[string][]byte{
		"large": large, "small.txt": []byte("text"), "empty": nil, "../..\\a €.txt": []byte("text"),
	} {
		files = append(files, c.upload(name, data))
	}
	b.waitObjects(4)
	for _, f := range files {
		c.checkDownload(f)
		if f.Size != int64(len(large)) {
			continue
		}
		r := c.do("GET", "/v1/files/"+f.ID+"/download", nil, "Range: bytes=6000000-7000000").want(t, 206)
		if !bytes.Equal(r.body, large[6000000:7000001]) {
			t.Errorf("the range has %d other bytes", len(r.body))
		}
	}
	wantMoved(t, s.move("local", "s3"), "20 files", "from local to s3")
	b.waitObjects(len(files))
	for _, f := range files {
		c.checkDownload(f)
	}
	for _, f := range files[:5] {
		c.do("DELETE", "/v1/files/"+f.ID, nil).want(t, 204)
	}
	files = files[5:]
	b.waitObjects(len(files))
	wantMoved(t, s.move("s3", "local"), itoa(len(files))+" files", "from s3 to local")
	var sizes []int64
	for _, f := range files {
		c.checkDownload(f)
		sizes = append(sizes, f.Size)
	}
	s.kill()
	s.expirePending()
	s.restart()
	b.waitObjects(0)
	s.waitObjects("files-local/files", sizes...)
}

// With presigned_downloads, a download redirects to a link to the bucket that needs no token.
func TestS3Redirect(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := start(t, b.plugins("s3", "presigned_downloads = true"))
	c := s.signIn()
	data := randomBytes(1, 100<<10)
	f := c.upload("a €.bin", data)
	path := "/v1/files/" + f.ID + "/download"
	noRedirect := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	first, err := noRedirect.Do(c.request(t.Context(), "GET", path, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Body.Close()
	if first.StatusCode != http.StatusTemporaryRedirect {
		t.Fatalf("got status %d, want 307", first.StatusCode)
	}
	link, err := http.NewRequestWithContext(t.Context(), "GET", first.Header.Get("Location"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(link)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != 200 || !bytes.Equal(body, data) {
		t.Errorf("the link returns status %d and %d bytes (%v)", got.StatusCode, len(body), err)
	}
	if d := got.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") ||
		!strings.Contains(d, "%E2%82%AC") {
		t.Errorf("got Content-Disposition %q, want an attachment with the name", d)
	}
	if r := c.do("GET", path, nil, "Range: bytes=0-9").want(t, 206); !bytes.Equal(r.body, data[:10]) {
		t.Errorf("the range has %d bytes, want the first 10", len(r.body))
	}
}

// If the S3 server is down, stalls, or closes connections during an upload, no file is lost and no
// object is left over.
func TestS3Down(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := start(t, b.plugins("s3", ""))
	c := s.signIn()
	kept := c.upload("kept", randomBytes(1, 1<<20))
	gone := c.upload("gone", randomBytes(2, 1<<20))
	data := randomBytes(3, 16<<20)
	big := func() *reply { return c.send(filePart("big", bytes.NewReader(data))) }
	wantUnavailable := func(what string, ask func() *reply) {
		t.Helper()
		r := ask().want(t, 503)
		if f := r.failure(t); f.Code != "SERVICE_UNAVAILABLE" || strings.Contains(f.Message, b.s3.SecretKey) {
			t.Errorf("%s: got %s, want SERVICE_UNAVAILABLE without the key", what, r.body)
		}
	}
	download := func() *reply { return c.get("/v1/files/" + kept.ID + "/download") }
	for what, fail := range map[string]func(){"down": b.proxy.Down, "stalled": b.proxy.Stall} {
		fail()
		wantUnavailable("an upload, "+what, big)
		wantUnavailable("a download, "+what, download)
		if got := c.files(); len(got) != 2 {
			t.Errorf("%s: got files %+v, want 2", what, got)
		}
		b.proxy.Up()
		c.checkDownload(kept)
	}
	b.proxy.DownAfter(7 << 20) // in the second part of the upload
	wantUnavailable("an upload, cut", big)
	b.proxy.Up()
	// The backend's process is killed during an upload.
	pid := c.plugin("files", "s3").PID
	dying := &slowReader{content: bytes.NewReader(data), pause: 5 * time.Millisecond}
	killed := false
	dying.read = func(n int64) {
		if n > 12<<20 && !killed {
			killed = true
			kill(t, pid)
		}
	}
	wantUnavailable("an upload, killed", func() *reply { return c.send(filePart("dying", dying)) })
	c.checkDownload(kept)
	b.proxy.Down()
	c.do("DELETE", "/v1/files/"+gone.ID, nil).want(t, 204)
	c.get("/v1/files/"+gone.ID).want(t, 404)
	b.proxy.Up()
	if got := c.files(); len(got) != 1 {
		t.Errorf("got files %+v, want 1", got)
	}
	s.kill()
	s.expirePending()
	s.restart()
	b.waitObjects(1)
	c.checkDownload(kept)
}
