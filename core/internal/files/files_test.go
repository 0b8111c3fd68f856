package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// env is a Files with a real database and in-memory backends named local and s3.
type env struct {
	*Files
	t        *testing.T
	db       *storage.DB
	backends memoryBackends
	local    *memoryBackend
	ada      core.Actor
}

func newEnv(t *testing.T, change ...func(*Options)) *env {
	t.Helper()
	db := dbtest.Open(t)
	r := &env{t: t, db: db, backends: memoryBackends{}}
	for _, label := range []string{"local", "s3"} {
		r.backends[label] = &memoryBackend{objects: map[string][]byte{}}
	}
	r.local = r.backends["local"]
	r.ada = r.user("ada")
	r.Files = r.restart(change...)
	return r
}

// restart returns another Files with the same database and backends, as after a crash.
func (r *env) restart(change ...func(*Options)) *Files {
	o := Options{
		Store: r.db, Backends: r.backends, Labels: func() []string { return []string{"local", "s3"} },
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	return New(o)
}

func (r *env) user(name string) core.Actor {
	r.t.Helper()
	u := &core.User{
		ID: core.NewID("user"), Username: name, Email: name + "@example.com", PasswordHash: "x", Role: core.RoleMember,
		CreatedAt: now(), UpdatedAt: now(),
	}
	if err := r.db.CreateUser(r.t.Context(), nil, u); err != nil {
		r.t.Fatal(err)
	}
	return core.Actor{UserID: u.ID, Role: u.Role}
}

func (r *env) upload(body io.Reader) (*core.File, error) {
	return r.Upload(r.t.Context(), nil, r.ada, &core.Upload{Name: "notes.txt", Body: body})
}

func (r *env) mustUpload(content string) *core.File {
	r.t.Helper()
	f, err := r.upload(strings.NewReader(content))
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

func (r *env) read(f *core.File) string {
	r.t.Helper()
	body := r.Open(r.t.Context(), f)
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

// pendingBlobs returns the number of pending blobs, due or not.
func (r *env) pendingBlobs() int {
	r.t.Helper()
	all, err := r.db.ClaimPendingBlobs(r.t.Context(), now().Add(24*time.Hour), now(), 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return len(all)
}

// wantNothing checks that there are no files, bytes and pending blobs.
func (r *env) wantNothing() {
	r.t.Helper()
	if _, total, err := r.db.Files(r.t.Context(), r.ada, core.FileFilter{Page: core.Page{Limit: 1}}); err != nil ||
		total != 0 {
		r.t.Errorf("got %d files (%v), want none", total, err)
	}
	if keys := r.local.keys(); len(keys) != 0 {
		r.t.Errorf("got blobs %v in the backend, want none", keys)
	}
	if n := r.pendingBlobs(); n != 0 {
		r.t.Errorf("got %d pending blobs, want none", n)
	}
}

func wantCode(t *testing.T, err error, code core.Code, text string) {
	t.Helper()
	if err == nil || core.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	for content, contentType := range map[string]string{
		"":                              "text/plain",
		"Hello, Ada!":                   "text/plain; charset=utf-8",
		"%PDF-1.7\n" + pad(10_000):      "application/pdf",
		"\x89PNG\r\n\x1a\n" + pad(3072): "image/png",
		"\x00\x01" + pad(3<<20):         "application/octet-stream",
	} {
		f := r.mustUpload(content)
		sum := sha256.Sum256([]byte(content))
		if f.Size != int64(len(content)) || f.ContentType != contentType || f.SHA256 != hex.EncodeToString(sum[:]) ||
			f.CreatedBy != r.ada.UserID {
			t.Errorf("Upload = %+v, want %d bytes of %s", f, len(content), contentType)
		}
		if got := r.read(f); got != content {
			t.Errorf("%s: the downloaded bytes differ from the uploaded ones", contentType)
		}
		stored, err := r.db.File(t.Context(), r.ada, f.ID)
		if err != nil || stored.SHA256 != f.SHA256 || string(stored.Metadata) != "{}" {
			t.Errorf("stored file = %+v (%v), want the same checksum and empty metadata", stored, err)
		}
	}
	if n := r.pendingBlobs(); n != 0 {
		t.Errorf("got %d pending blobs, want none", n)
	}
}

func pad(n int) string { return strings.Repeat("x", n) }

func TestOpenReadsRanges(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	f := r.mustUpload("0123456789")
	body := r.Open(t.Context(), f)
	defer body.Close()
	for _, c := range []struct {
		offset int64
		whence int
		want   string
	}{
		{3, io.SeekStart, "345"},
		{1, io.SeekCurrent, "789"},
		{-2, io.SeekEnd, "89"},
		{0, io.SeekStart, "012"},
		{0, io.SeekEnd, ""},
	} {
		if _, err := body.Seek(c.offset, c.whence); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3)
		n, err := io.ReadFull(body, got)
		if string(got[:n]) != c.want || (len(c.want) == 3) != (err == nil) {
			t.Errorf("%+v: got %q (%v), want %q", c, got[:n], err, c.want)
		}
	}
	if _, err := body.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek before the start succeeded")
	}
}

func TestUploadWithTheSameIDIsIdempotent(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	upload := func(content string) (*core.File, error) {
		return r.Upload(t.Context(), nil, r.ada, &core.Upload{ID: "file-1", Name: "a.txt", Body: strings.NewReader(content)})
	}
	first, err := upload("first")
	if err != nil {
		t.Fatal(err)
	}
	again, err := upload("second")
	if err != nil || again.SHA256 != first.SHA256 || len(r.local.keys()) != 1 {
		t.Errorf("second Upload = %+v, %v with blobs %v, want the first file", again, err, r.local.keys())
	}
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	r := newEnv(t, func(o *Options) { o.Limits = Limits{FileSize: 5000, UserTotal: 8000} })
	for _, size := range []int{5001, 100_000} { // within and after the first buffer
		_, err := r.upload(strings.NewReader(pad(size)))
		wantCode(t, err, core.CodePayloadTooLarge, "exceeds the limit of 5000 bytes per file")
	}
	r.wantNothing()
	f := r.mustUpload(pad(5000))
	_, err := r.upload(strings.NewReader(pad(3001)))
	wantCode(t, err, core.CodePayloadTooLarge, "exceed the limit of 8000 bytes per user. You have stored 5000")
	if err := r.Delete(t.Context(), nil, r.ada, f.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mustUpload(pad(4000))
	r.mustUpload(pad(4000))
	if n := len(r.local.keys()); n != 2 {
		t.Errorf("got %d blobs, want 2", n)
	}
}

// Each upload is within the limit when it starts; together they exceed it.
func TestConcurrentUploadsRespectTheTotal(t *testing.T) {
	t.Parallel()
	r := newEnv(t, func(o *Options) { o.Limits = Limits{UserTotal: 8000} })
	var both sync.WaitGroup
	both.Add(2)
	r.local.put = func(context.Context, string, *[]byte) error {
		both.Done()
		both.Wait()
		return nil
	}
	outcomes := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := r.upload(strings.NewReader(pad(5000)))
			outcomes <- err
		}()
	}
	failed := errors.Join(<-outcomes, <-outcomes)
	wantCode(t, failed, core.CodePayloadTooLarge, "8000 bytes")
	if n := len(r.local.keys()); n != 1 {
		t.Errorf("got %d blobs, want 1", n)
	}
}

func TestConcurrentUploadsOfAUserAreLimited(t *testing.T) {
	t.Parallel()
	r := newEnv(t, func(o *Options) { o.Limits = Limits{Uploads: 1} })
	body, writer := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := r.upload(body)
		done <- err
	}()
	_, _ = writer.Write([]byte("begun"))
	_, err := r.upload(strings.NewReader("one more"))
	wantCode(t, err, core.CodeRateLimited, "limit of 1 concurrent uploads")
	if _, err := r.Upload(t.Context(), nil, r.user("bob"),
		&core.Upload{Name: "b", Body: strings.NewReader("b")}); err != nil {
		t.Errorf("Upload of another user: %v", err)
	}
	_ = writer.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.mustUpload("now")
}

func TestFailedBodyLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	cut := errors.New("the client went away")
	for _, before := range []int{0, 100, 100_000} {
		_, err := r.upload(io.MultiReader(strings.NewReader(pad(before)), failing(cut)))
		if !errors.Is(err, cut) {
			t.Errorf("Upload with an error after %d bytes: got error %v, want %v", before, err, cut)
		}
	}
	r.wantNothing()
}

func failing(err error) io.Reader { return readerFunc(func([]byte) (int, error) { return 0, err }) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestFailedBackendLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		put  func(ctx context.Context, key string, data *[]byte) error
		code core.Code
		text string
	}{
		"full":    {refuse(sdk.CodeNoSpace), core.CodeInsufficientStorage, "no free space"},
		"keys":    {refuse(sdk.CodeUnauthorized), core.CodeUnavailable, "rejected the server's credentials"},
		"down":    {refuse(sdk.CodeUnavailable), core.CodeUnavailable, `"local" is not available`},
		"crashed": {refuse(sdk.CodePluginCrashed), core.CodeUnavailable, `"local" is not available`},
		"mad":     {refuse(sdk.CodeInvalidRequest), core.CodeInternal, ""},
		"stalls": {func(ctx context.Context, _ string, _ *[]byte) error {
			<-ctx.Done()
			return &sdk.Error{Code: sdk.CodeCancelled, Message: ctx.Err().Error()}
		}, core.CodeUnavailable, `"local" is not available`},
		"other bytes": {func(_ context.Context, _ string, data *[]byte) error {
			*data = append([]byte("X"), (*data)[1:]...)
			return nil
		}, core.CodeUnavailable, "did not store the bytes correctly"},
		"fewer bytes": {func(_ context.Context, _ string, data *[]byte) error {
			*data = (*data)[1:]
			return nil
		}, core.CodeUnavailable, "did not store the bytes correctly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Reservations expire immediately, so that one sweep deletes all pending blobs.
			r := newEnv(t, func(o *Options) { o.Times = Times{Reserve: time.Nanosecond, Commit: 50 * time.Millisecond} })
			r.local.put = c.put
			_, err := r.upload(strings.NewReader(pad(100_000)))
			wantCode(t, err, c.code, c.text)
			if err := r.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.wantNothing()
			r.local.set(func(s *memoryBackend) { s.put = nil })
			r.mustUpload("it heals")
		})
	}
}

func refuse(code sdk.ErrorCode) func(context.Context, string, *[]byte) error {
	return func(context.Context, string, *[]byte) error { return &sdk.Error{Code: code, Message: "refused"} }
}

func TestNoBackend(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	f := r.mustUpload("there")
	delete(r.backends, "local")
	_, err := r.upload(strings.NewReader("new"))
	wantCode(t, err, core.CodeUnavailable, `no files plugin "local"`)
	_, err = io.ReadAll(r.Open(t.Context(), f))
	wantCode(t, err, core.CodeUnavailable, `no files plugin "local"`)
	if n := r.pendingBlobs(); n != 0 {
		t.Errorf("got %d pending blobs, want none", n)
	}
}

func TestDownloadResumesAfterACrash(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	content := pad(1000) + strings.Repeat("y", 1000)
	f := r.mustUpload(content)
	crashes := 2
	r.local.get = func(_ context.Context, key string, offset int64) (io.ReadCloser, error) {
		if crashes == 0 {
			return nil, nil
		}
		crashes--
		part := strings.NewReader(content[offset : offset+300])
		return io.NopCloser(io.MultiReader(part, failing(errCrashed))), nil
	}
	if got := r.read(f); got != content {
		t.Error("the downloaded bytes differ from the uploaded ones")
	}
	// A backend that crashes on every read leads to an error, not to an endless loop.
	r.local.get = func(context.Context, string, int64) (io.ReadCloser, error) { return nil, errCrashed }
	_, err := io.ReadAll(r.Open(t.Context(), f))
	wantCode(t, err, core.CodeUnavailable, "is not available")
}

func TestDownloadOfMissingBytes(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	f := r.mustUpload("0123456789")
	key := f.Blob.Key
	r.local.set(func(s *memoryBackend) { s.objects[key] = []byte("0123") })
	data, err := io.ReadAll(r.Open(t.Context(), f))
	if string(data) != "0123" {
		t.Errorf("got %q, want %q", data, "0123")
	}
	wantCode(t, err, core.CodeUnavailable, "are missing")
	r.local.set(func(s *memoryBackend) { delete(s.objects, key) })
	_, err = io.ReadAll(r.Open(t.Context(), f))
	wantCode(t, err, core.CodeUnavailable, "are missing")
}

func TestDownloadStalls(t *testing.T) {
	t.Parallel()
	r := newEnv(t, func(o *Options) { o.Times = Times{Stall: 20 * time.Millisecond} })
	f := r.mustUpload("0123456789")
	r.local.get = func(ctx context.Context, _ string, _ int64) (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func([]byte) (int, error) {
			<-ctx.Done()
			return 0, &sdk.Error{Code: sdk.CodeTimeout, Message: "stalled"}
		})), nil
	}
	_, err := io.ReadAll(r.Open(t.Context(), f))
	wantCode(t, err, core.CodeUnavailable, "is not available")
}

// large is a reader of n generated bytes.
func large(n int64) io.Reader {
	return io.LimitReader(readerFunc(func(p []byte) (int, error) {
		copy(p, bytes.Repeat([]byte("abcdefgh"), len(p)/8+1))
		return len(p), nil
	}), n)
}

func TestLargeUploadIsDetectedByItsFirstBytes(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	f, err := r.upload(io.MultiReader(strings.NewReader("GIF89a"), large(5<<20)))
	if err != nil || f.ContentType != "image/gif" || f.Size != 5<<20+6 {
		t.Errorf("Upload = %+v, %v, want image/gif", f, err)
	}
}
