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

// bucket is a bucket of an S3 server, behind a proxy that can fail.
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

// plugins is a plugins.hcl with a folder and the bucket, of which one takes new
// files. more goes into the bucket's config.
func (b *bucket) plugins(takes, more string) string {
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
`, takes, scheme, b.proxy.Endpoint, b.s3.Region, b.name, b.s3.AccessKey, b.s3.SecretKey, more)
}

// awaitObjects waits until the bucket has so many objects, and no upload that
// has not ended.
func (b *bucket) waitObjects(n int) {
	b.t.Helper()
	eventually(b.t, "the bucket to have "+itoa(n)+" objects", func() bool {
		return len(b.s3.Objects(b.t, b.name)) == n && len(b.s3.Uploads(b.t, b.name)) == 0
	})
}

// Files live in a bucket as they do in a folder, and move there and back.
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
	for name, data := range map[string][]byte{"large": large, "small.txt": []byte("text"), "empty": nil, "../..\\a €.txt": []byte("text")} {
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
			t.Errorf("a range gives %d other bytes", len(r.body))
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

// Downloads may go to the bucket by a link that needs no token.
func TestS3Redirect(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := start(t, b.plugins("s3", "presigned_downloads = true"))
	c := s.signIn()
	data := randomBytes(1, 100<<10)
	f := c.upload("a €.bin", data)
	path := "/v1/files/" + f.ID + "/download"
	stay := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	first, err := stay.Do(c.request(t.Context(), "GET", path, nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Body.Close()
	if first.StatusCode != http.StatusTemporaryRedirect {
		t.Fatalf("status %d", first.StatusCode)
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
		t.Errorf("status %d, %d bytes, %v", got.StatusCode, len(body), err)
	}
	if d := got.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") || !strings.Contains(d, "%E2%82%AC") {
		t.Errorf("Content-Disposition is %q", d)
	}
	if r := c.do("GET", path, nil, "Range: bytes=0-9").want(t, 206); !bytes.Equal(r.body, data[:10]) {
		t.Errorf("a range gives %d bytes", len(r.body))
	}
}

// An S3 server that is away, or cuts connections in mid-upload, costs no file and
// leaves none.
func TestS3Down(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := start(t, b.plugins("s3", ""))
	c := s.signIn()
	kept := c.upload("kept", randomBytes(1, 1<<20))
	gone := c.upload("gone", randomBytes(2, 1<<20))
	data := randomBytes(3, 16<<20)
	big := func() *reply { return c.send(filePart("big", bytes.NewReader(data))) }
	refused := func(what string, ask func() *reply) {
		t.Helper()
		began := time.Now()
		r := ask().want(t, 503)
		within(t, time.Since(began), 20*time.Second, what)
		if f := r.failure(t); f.Code != "SERVICE_UNAVAILABLE" || strings.Contains(f.Message, b.s3.SecretKey) {
			t.Errorf("%s: %s", what, r.body)
		}
	}
	download := func() *reply { return c.get("/v1/files/" + kept.ID + "/download") }
	for what, fail := range map[string]func(){"down": b.proxy.Down, "stalled": b.proxy.Stall} {
		fail()
		refused("an upload, "+what, big)
		refused("a download, "+what, download)
		if got := c.files(); len(got) != 2 {
			t.Errorf("%s: %+v", what, got)
		}
		b.proxy.Up()
		c.checkDownload(kept)
	}
	b.proxy.DownAfter(7 << 20) // in its second part
	refused("an upload, cut", big)
	b.proxy.Up()
	// The backend's process dies in the middle of one.
	pid := c.plugin("files", "s3").PID
	dying := &slowReader{content: bytes.NewReader(data), pause: 5 * time.Millisecond}
	killed := false
	dying.read = func(n int64) {
		if n > 12<<20 && !killed {
			killed = true
			kill(t, pid)
		}
	}
	refused("an upload, killed", func() *reply { return c.send(filePart("dying", dying)) })
	c.checkDownload(kept)
	b.proxy.Down()
	c.do("DELETE", "/v1/files/"+gone.ID, nil).want(t, 204)
	c.get("/v1/files/"+gone.ID).want(t, 404)
	b.proxy.Up()
	if got := c.files(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	s.kill()
	s.expirePending()
	s.restart()
	b.waitObjects(1)
	c.checkDownload(kept)
}
