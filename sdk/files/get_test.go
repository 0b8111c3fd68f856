package files_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

func TestGet_ranges(t *testing.T) {
	t.Parallel()
	const n = 3<<20 + 5
	m, data := newMemory(), noise(n)
	m.objects["k"] = data
	m.objects["empty"] = nil
	c := reach(t, m)
	tests := []struct {
		name           string
		key            string
		offset, length int64
		want           []byte
		code           sdk.ErrorCode
	}{
		{name: "whole", key: "k", want: data},
		{name: "start", key: "k", length: 10, want: data[:10]},
		{name: "middle", key: "k", offset: 1 << 20, length: 1<<20 + 1, want: data[1<<20 : 2<<20+1]},
		{name: "end", key: "k", offset: n - 3, want: data[n-3:]},
		{name: "past the end", key: "k", offset: n + 1},
		{name: "length past the end", key: "k", offset: n - 3, length: 100, want: data[n-3:]},
		{name: "empty", key: "empty"},
		{name: "not there", key: "x", code: sdk.CodeNotFound},
		{name: "negative offset", key: "k", offset: -1, code: sdk.CodeInvalidRequest},
		{name: "negative length", key: "k", length: -1, code: sdk.CodeInvalidRequest},
		{name: "not UTF-8", key: "\xff", code: sdk.CodeInvalidRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := c.Get(t.Context(), tt.key, tt.offset, tt.length)
			if code(err) != tt.code {
				t.Fatalf("Get: got error %v, want code %q", err, tt.code)
			}
			if err != nil {
				return
			}
			defer r.Close()
			if err := iotest.TestReader(r, tt.want); err != nil && len(tt.want) < 1000 {
				t.Error(err)
			}
			again, err := c.Get(t.Context(), tt.key, tt.offset, tt.length)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			var got bytes.Buffer
			if n, err := again.(io.WriterTo).WriteTo(&got); err != nil || n != int64(len(tt.want)) ||
				!bytes.Equal(got.Bytes(), tt.want) {
				t.Errorf("%d bytes of %d, %v", n, len(tt.want), err)
			}
		})
	}
}

// spring is a reader of endless bytes that reports when its context ends.
type spring struct {
	ctx    context.Context
	closed chan struct{}
}

func (s spring) Read(p []byte) (int, error) { return len(p), s.ctx.Err() }
func (s spring) Close() error               { close(s.closed); return nil }

func TestGet_close(t *testing.T) {
	t.Parallel()
	for _, ending := range []string{"close", "cancel"} {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			m, closed := newMemory(), make(chan struct{})
			m.get = func(ctx context.Context) (io.ReadCloser, error) { return spring{ctx, closed}, nil }
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, err := reach(t, m).Get(ctx, "k", 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := io.CopyN(io.Discard, r, 5<<20); err != nil {
				t.Fatal(err)
			}
			if ending == "close" {
				_ = r.Close()
			} else {
				cancel()
			}
			<-closed
			if _, err := io.Copy(io.Discard, r); code(err) != sdk.CodeCancelled {
				t.Errorf("Read: got error %v, want code %s", err, sdk.CodeCancelled)
			}
		})
	}
}

// Close ends a blocked Read.
func TestGet_closeDuringRead(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.get = func(ctx context.Context) (io.ReadCloser, error) {
		first := bytes.NewReader(make([]byte, 512<<10))
		return io.NopCloser(io.MultiReader(first, readFunc(func([]byte) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}))), nil
	}
	r, err := reach(t, m).Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, r)
		got <- err
	}()
	_ = r.Close()
	if err := <-got; code(err) != sdk.CodeCancelled {
		t.Errorf("Read after Close: got error %v, want code %s", err, sdk.CodeCancelled)
	}
}

func TestGet_error(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.get = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 2<<20)),
			iotest.ErrReader(&sdk.Error{Code: sdk.CodeUnavailable, Message: "the disk failed", Retryable: true}))), nil
	}
	r, err := reach(t, m).Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 { // later reads return the same error
		if _, err = io.Copy(io.Discard, r); code(err) != sdk.CodeUnavailable || !sdk.AsError(err).Retryable {
			t.Errorf("Read: got error %v, want a retryable error with code %s", err, sdk.CodeUnavailable)
		}
	}
}

func TestGet_pluginExits(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.get = func(ctx context.Context) (io.ReadCloser, error) { return spring{ctx, make(chan struct{})}, nil }
	cc, s := loopback.Serve(t, func(s *grpc.Server) { files.Register(s, m) })
	r, err := files.NewClient(cc).Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.Stop()
	if _, err := io.Copy(io.Discard, r); code(err) != sdk.CodePluginCrashed {
		t.Errorf("Read: got error %v, want code %s", err, sdk.CodePluginCrashed)
	}
}

type generous struct {
	filesv1.UnimplementedFilesServiceServer
}

func (generous) Get(_ *filesv1.GetRequest, stream grpc.ServerStreamingServer[filesv1.GetResponse]) error {
	_ = stream.Send(&filesv1.GetResponse{})
	return stream.Send(&filesv1.GetResponse{Data: make([]byte, 11)})
}

func TestGet_pluginSendsTooMuch(t *testing.T) {
	t.Parallel()
	c := files.NewClient(loopback.Connect(t, func(s *grpc.Server) { filesv1.RegisterFilesServiceServer(s, generous{}) }))
	if _, err := c.Get(t.Context(), "k", 0, 10); code(err) != sdk.CodeInternal ||
		!strings.Contains(err.Error(), "more bytes") {
		t.Errorf("Get of 10 bytes from a backend that sends more: got error %v, want code %s", err, sdk.CodeInternal)
	}
}
