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
	"github.com/agentarea/agentarea/test/testenv"
)

const mib = 1 << 20

// maxDuration is the maximum duration of a call to an unavailable server: the timeout of
// one second, retries, and the time for the cleanup.
const maxDuration = 6 * time.Second

// bytesOf returns n bytes of which no two parts are equal.
func bytesOf(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return data
}

// wantUnavailable fails the test unless call returns a retryable "unavailable" error in time.
func wantUnavailable(t *testing.T, what string, call func() error) {
	t.Helper()
	stopwatch := testenv.StartStopwatch()
	err := call()
	stopwatch.Check(t, maxDuration, what)
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.CodeUnavailable || !e.Retryable {
		t.Errorf("%s = %v, want a retryable error with code %s", what, err, sdk.CodeUnavailable)
	}
}

// mustPut stores an object.
func mustPut(t *testing.T, b *backend, key string, data []byte) {
	t.Helper()
	stored, err := b.Put(t.Context(), key, bytes.NewReader(data), files.PutOptions{Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	if stored.Size != int64(len(data)) || stored.SHA256 != sha256.Sum256(data) {
		t.Errorf("Put stored %d bytes with SHA-256 %x, want those of %d bytes", stored.Size, stored.SHA256, len(data))
	}
}

// read returns the content of an object.
func read(t *testing.T, b *backend, key string) ([]byte, error) {
	t.Helper()
	r, err := b.Get(t.Context(), key, 0, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// faultyBackend is a backend behind a network that fails on demand.
type faultyBackend struct {
	*backend
	server *s3test.Server
	proxy  *s3test.Proxy
	bucket string
}

func newFaultyBackend(t *testing.T) *faultyBackend {
	t.Helper()
	s := s3test.Start(t)
	r := &faultyBackend{server: s, proxy: s3test.NewProxy(t, s.Endpoint), bucket: s.NewBucket(t)}
	config := configBlock(s, r.bucket, map[string]any{"timeout": "1s"})
	config["endpoint"] = "http://" + r.proxy.Endpoint
	r.backend = open(t, config)
	return r
}

// wantObjects fails the test unless the bucket has exactly these objects.
func (r *faultyBackend) wantObjects(t *testing.T, want ...string) {
	t.Helper()
	if got := r.server.Objects(t, r.bucket); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the bucket has the objects %q, want %q", got, want)
	}
}

func (r *faultyBackend) wantNoUploads(t *testing.T) {
	t.Helper()
	if got := r.server.Uploads(t, r.bucket); len(got) > 0 {
		t.Errorf("the bucket has the uploads %q, want none", got)
	}
}

// When the network goes down during a Put, the Put leaves no object, and Delete removes the
// upload.
func TestPut_networkDown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		size  int
		after int64
	}{
		{"immediately", 1 * mib, 0},
		{"in a small file", 1 * mib, mib / 2},
		{"in the first part", 12 * mib, 2 * mib},
		{"in a later part", 17 * mib, 12 * mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newFaultyBackend(t)
			mustPut(t, r.backend, "old", []byte("old"))
			for _, key := range []string{"fresh", "old"} {
				r.proxy.DownAfter(tt.after)
				wantUnavailable(t, "Put", func() error {
					_, err := r.Put(t.Context(), key, bytes.NewReader(bytesOf(tt.size)), files.PutOptions{Size: -1})
					return err
				})
				r.proxy.Up()
				r.wantObjects(t, r.name("old"))
			}
			if got, err := read(t, r.backend, "old"); string(got) != "old" || err != nil {
				t.Errorf("object old = %q, %v, want old", got, err)
			}
			for _, key := range []string{"fresh", "old"} {
				if err := r.Delete(t.Context(), key); err != nil {
					t.Errorf("Delete() = %v", err)
				}
			}
			r.wantObjects(t)
			r.wantNoUploads(t)
		})
	}
}

// A Put survives a connection that is interrupted once.
func TestPut_retriesAfterInterruption(t *testing.T) {
	t.Parallel()
	r := newFaultyBackend(t)
	r.retryDelay = 200 * time.Millisecond
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
		t.Errorf("Get returned %d bytes, %v, want the %d bytes of the Put", len(got), err, len(data))
	}
	r.wantNoUploads(t)
}

// callbackReader calls do once when the given number of bytes has been read.
type callbackReader struct {
	io.Reader
	at int
	do func()
}

func (h *callbackReader) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p[:min(len(p), mib)])
	if h.at -= n; h.at <= 0 && h.do != nil {
		h.do()
		h.do = nil
	}
	return n, err
}

// A Put whose reader fails or whose context ends leaves neither an object nor an upload.
func TestPut_aborts(t *testing.T) {
	t.Parallel()
	r := newFaultyBackend(t)
	errRead := errors.New("the reader failed")
	for name, do := range map[string]func(cancel func()) error{
		"reader": func(func()) error { return errRead },
		"cancel": func(cancel func()) error { cancel(); return nil },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var failed error
		source := &callbackReader{
			Reader: bytes.NewReader(bytesOf(12 * mib)), at: 11 * mib, do: func() { failed = do(cancel) },
		}
		_, err := r.Put(ctx, name, readFunc(func(p []byte) (int, error) {
			if failed != nil {
				return 0, failed
			}
			return source.Read(p)
		}), files.PutOptions{Size: -1})
		if !errors.Is(err, errRead) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: unexpected error %v", name, err)
		}
	}
	r.wantObjects(t)
	r.wantNoUploads(t)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// Delete stops a Put of the same key that is in progress.
func TestDeleteStopsPut(t *testing.T) {
	t.Parallel()
	r := newFaultyBackend(t)
	for _, size := range []int{1 * mib, 12 * mib} {
		source := &callbackReader{Reader: bytes.NewReader(bytesOf(size)), at: size, do: func() {
			if err := r.Delete(t.Context(), "k"); err != nil {
				t.Errorf("Delete() = %v", err)
			}
		}}
		if _, err := r.Put(t.Context(), "k", source, files.PutOptions{Size: -1}); err == nil {
			t.Error("Put() = nil, want an error: the key was deleted during the Put")
		}
	}
	r.wantObjects(t)
	r.wantNoUploads(t)
}

// When the network goes down or stalls during a Get, the reader returns an error and not
// io.EOF.
func TestGet_networkDown(t *testing.T) {
	t.Parallel()
	r := newFaultyBackend(t)
	mustPut(t, r.backend, "k", bytesOf(12*mib))
	for name, fail := range map[string]func(){"down": r.proxy.Down, "stalled": r.proxy.Stall} {
		rc, err := r.Get(t.Context(), "k", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, rc, mib); err != nil {
			t.Fatal(err)
		}
		fail()
		wantUnavailable(t, "Get when the network is "+name, func() error {
			n, err := io.Copy(io.Discard, rc)
			if n == 11*mib {
				t.Errorf("%s: the proxy forwarded all bytes", name)
			}
			return err
		})
		_ = rc.Close()
		r.proxy.Up()
	}
}

// calls returns a call of each method of a backend.
func allCalls(t *testing.T, b *backend) map[string]func() error {
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
		"Delete": func() error { return b.Delete(ctx, "gone") }, // another key, because Delete ends the Puts of its key
		"List": func() error {
			for _, err := range b.List(ctx, "", "") {
				return err
			}
			return nil
		},
	}
}

// Every call to a server that is down or does not respond fails as unavailable in time, and
// so does Health.
func TestServerUnavailable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"down", "stalled"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close() // accepts connections and never responds
			if name == "down" {
				_ = l.Close()
			}
			b := open(t, map[string]any{
				"endpoint": "http://" + l.Addr().String(), "bucket": "files", "access_key": "a", "secret_key": "s", "timeout": "1s",
			})
			var wg sync.WaitGroup
			for what, call := range allCalls(t, b) {
				wg.Go(func() { wantUnavailable(t, what, call) })
			}
			wg.Go(func() {
				stopwatch := testenv.StartStopwatch()
				if err := b.Health(t.Context()); err == nil {
					t.Error("Health() = nil, want an error")
				}
				stopwatch.Check(t, 2*time.Second, "Health")
			})
			wg.Wait()
		})
	}
}

// An object whose bytes were altered on the way to S3 is not stored.
func TestPut_alteredInTransit(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.NewBucket(t)
	config := configBlock(s, bucket, nil)
	config["endpoint"] = "http://" + newAlteringProxy(t, s.Endpoint)
	b := open(t, config)
	for _, size := range []int{mib, 12 * mib} {
		_, err := b.Put(t.Context(), "k", bytes.NewReader(bytes.Repeat([]byte("good "), size/5)), files.PutOptions{Size: -1})
		if err == nil {
			t.Errorf("Put() of %d bytes that were altered in transit = nil, want an error", size)
		}
	}
	if names := append(s.Objects(t, bucket), s.Uploads(t, bucket)...); len(names) > 0 {
		t.Errorf("the bucket has %q, want nothing", names)
	}
}

// newAlteringProxy returns the address of a proxy that alters the data sent to the server.
func newAlteringProxy(t *testing.T, target string) string {
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
			go func() { _, _ = io.Copy(alteringWriter{server}, client); _ = server.Close() }()
		}
	}()
	return l.Addr().String()
}

type alteringWriter struct{ to io.Writer }

func (a alteringWriter) Write(p []byte) (int, error) {
	return a.to.Write(bytes.ReplaceAll(p, []byte("good good"), []byte("good g00d")))
}
