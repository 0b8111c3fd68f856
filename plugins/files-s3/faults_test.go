package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/test/s3test"
)

const mib = 1 << 20

// within is how long a call may take that can't be served: the time-out of a
// second, the time to clean up, and what a busy machine takes.
const within = 6 * time.Second

// bytesOf gives n bytes that no two parts have alike.
func bytesOf(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return data
}

// unavailable fails the test unless err says so, and in time.
func unavailable(t *testing.T, what string, began time.Time, err error) {
	t.Helper()
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.CodeUnavailable || !e.Retryable {
		t.Errorf("%s: %v; want %s, retryable", what, err, sdk.CodeUnavailable)
	}
	if took := time.Since(began); took > within {
		t.Errorf("%s took %v", what, took)
	}
}

func keep(t *testing.T, b *backend, key string, data []byte) {
	t.Helper()
	stored, err := b.Put(t.Context(), key, bytes.NewReader(data), files.PutOptions{Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	if stored.Size != int64(len(data)) || stored.SHA256 != sha256.Sum256(data) {
		t.Errorf("%d bytes were kept, with the SHA-256 %x", stored.Size, stored.SHA256)
	}
}

func read(t *testing.T, b *backend, key string) ([]byte, error) {
	t.Helper()
	r, err := b.Get(t.Context(), key, 0, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// rig is a backend behind a network that fails on demand.
type rig struct {
	*backend
	server *s3test.Server
	proxy  *s3test.Proxy
	bucket string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := s3test.Start(t)
	r := &rig{server: s, proxy: s3test.NewProxy(t, s.Endpoint), bucket: s.NewBucket(t)}
	config := block(s, r.bucket, map[string]any{"timeout": "1s"})
	config["endpoint"] = "http://" + r.proxy.Endpoint
	r.backend = open(t, config)
	return r
}

// left fails the test when the bucket has anything but these objects.
func (r *rig) left(t *testing.T, want ...string) {
	t.Helper()
	if got := r.server.Objects(t, r.bucket); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the bucket has %q; want %q", got, want)
	}
}

func (r *rig) noUploads(t *testing.T) {
	t.Helper()
	if got := r.server.Uploads(t, r.bucket); len(got) > 0 {
		t.Errorf("the bucket has the uploads %q", got)
	}
}

// A network that goes down in a Put leaves no object, and the key's Delete
// leaves no upload.
func TestPutCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		size  int
		after int64
	}{
		{"at once", 1 * mib, 0},
		{"in a small file", 1 * mib, mib / 2},
		{"in the first part", 12 * mib, 2 * mib},
		{"in a later part", 17 * mib, 12 * mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			keep(t, r.backend, "old", []byte("old"))
			for _, key := range []string{"fresh", "old"} {
				r.proxy.DownAfter(tt.after)
				began := time.Now()
				_, err := r.Put(t.Context(), key, bytes.NewReader(bytesOf(tt.size)), files.PutOptions{Size: -1})
				unavailable(t, "Put", began, err)
				r.proxy.Up()
				r.left(t, r.name("old"))
			}
			if got, err := read(t, r.backend, "old"); string(got) != "old" || err != nil {
				t.Errorf("the old object is %q: %v", got, err)
			}
			for _, key := range []string{"fresh", "old"} {
				if err := r.Delete(t.Context(), key); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
			r.left(t)
			r.noUploads(t)
		})
	}
}

// A connection that is cut once is tried again, and nobody sees it.
func TestPutHeals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.pause = 200 * time.Millisecond
	data := bytesOf(17 * mib)
	const after = 7 * mib // in the second part
	r.proxy.DownAfter(after)
	var wg sync.WaitGroup
	wg.Go(func() {
		for r.proxy.Sent() <= after && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		r.proxy.Up()
	})
	_, err := r.Put(t.Context(), "k", bytes.NewReader(data), files.PutOptions{Size: -1})
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, r.backend, "k"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes that are not the %d of the Put: %v", len(got), len(data), err)
	}
	r.noUploads(t)
}

// hooked calls do once so many bytes were read.
type hooked struct {
	io.Reader
	at int
	do func()
}

func (h *hooked) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p[:min(len(p), mib)])
	if h.at -= n; h.at <= 0 && h.do != nil {
		h.do()
		h.do = nil
	}
	return n, err
}

// A reader that fails, or a caller that goes, leaves neither object nor upload.
func TestPutAborts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	errRead := errors.New("the reader failed")
	for name, do := range map[string]func(cancel func()) error{
		"reader": func(func()) error { return errRead },
		"cancel": func(cancel func()) error { cancel(); return nil },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var failed error
		source := &hooked{Reader: bytes.NewReader(bytesOf(12 * mib)), at: 11 * mib, do: func() { failed = do(cancel) }}
		_, err := r.Put(ctx, name, readFunc(func(p []byte) (int, error) {
			if failed != nil {
				return 0, failed
			}
			return source.Read(p)
		}), files.PutOptions{Size: -1})
		if !errors.Is(err, errRead) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.left(t)
	r.noUploads(t)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A Delete has the last word against a Put that is still going.
func TestDeleteStopsPut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, size := range []int{1 * mib, 12 * mib} {
		source := &hooked{Reader: bytes.NewReader(bytesOf(size)), at: size, do: func() {
			if err := r.Delete(t.Context(), "k"); err != nil {
				t.Errorf("Delete: %v", err)
			}
		}}
		if _, err := r.Put(t.Context(), "k", source, files.PutOptions{Size: -1}); err == nil {
			t.Error("a Put of a key that was deleted meanwhile succeeds")
		}
	}
	r.left(t)
	r.noUploads(t)
}

// A network that goes down, or silent, in a Get is an error and not an end.
func TestGetCut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	keep(t, r.backend, "k", bytesOf(12*mib))
	for name, fail := range map[string]func(){"down": r.proxy.Down, "silent": r.proxy.Stall} {
		rc, err := r.Get(t.Context(), "k", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, rc, mib); err != nil {
			t.Fatal(err)
		}
		fail()
		began := time.Now()
		n, err := io.Copy(io.Discard, rc)
		if n == 11*mib {
			t.Errorf("%s: the proxy let all pass", name)
		}
		unavailable(t, "Get when the network is "+name, began, err)
		_ = rc.Close()
		r.proxy.Up()
	}
}

// calls are all that a backend can be asked.
func calls(t *testing.T, b *backend) map[string]func() error {
	t.Helper()
	ctx := t.Context()
	return map[string]func() error{
		"Stat": func() error { _, err := b.Stat(ctx, "k"); return err },
		"Get":  func() error { _, err := read(t, b, "k"); return err },
		"Put": func() error {
			_, err := b.Put(ctx, "k", strings.NewReader("x"), files.PutOptions{Size: 1})
			return err
		},
		"Put of parts": func() error {
			_, err := b.Put(ctx, "k", bytes.NewReader(bytesOf(6*mib)), files.PutOptions{Size: -1})
			return err
		},
		"Delete": func() error { return b.Delete(ctx, "gone") }, // for a delete ends the puts of its key
		"List": func() error {
			for _, err := range b.List(ctx, "", "") {
				return err
			}
			return nil
		},
	}
}

// A server that is down, or silent, is Unavailable in time, and Health knows.
func TestAway(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"down", "silent"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close() // until then it takes connections, and says nothing
			if name == "down" {
				_ = l.Close()
			}
			b := open(t, map[string]any{
				"endpoint": "http://" + l.Addr().String(), "bucket": "files", "access_key": "a", "secret_key": "s", "timeout": "1s",
			})
			var wg sync.WaitGroup
			for what, call := range calls(t, b) {
				wg.Go(func() {
					began := time.Now()
					unavailable(t, what, began, call())
				})
			}
			wg.Go(func() {
				began := time.Now()
				if err := b.Health(t.Context()); err == nil || time.Since(began) > 2*time.Second {
					t.Errorf("Health says %v after %v", err, time.Since(began))
				}
			})
			wg.Wait()
		})
	}
}

// What came to S3 otherwise than it was sent is not kept.
func TestAltered(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.NewBucket(t)
	config := block(s, bucket, nil)
	config["endpoint"] = "http://" + alter(t, s.Endpoint)
	b := open(t, config)
	for _, size := range []int{mib, 12 * mib} {
		_, err := b.Put(t.Context(), "k", bytes.NewReader(bytes.Repeat([]byte("good "), size/5)), files.PutOptions{Size: -1})
		if err == nil {
			t.Errorf("%d bytes that were altered on the way were kept", size)
		}
	}
	if names := append(s.Objects(t, bucket), s.Uploads(t, bucket)...); len(names) > 0 {
		t.Errorf("the bucket has %q", names)
	}
}

// alter gives the address of a proxy that alters what goes to the server.
func alter(t *testing.T, target string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				return
			}
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
			go func() { _, _ = io.Copy(altering{server}, client); _ = server.Close() }()
		}
	}()
	return l.Addr().String()
}

type altering struct{ to io.Writer }

func (a altering) Write(p []byte) (int, error) {
	return a.to.Write(bytes.ReplaceAll(p, []byte("good good"), []byte("good g00d")))
}
