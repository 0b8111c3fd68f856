package files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

func TestPut_roundTrip(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		n    int
		slow bool
		wrap func(io.Reader) io.Reader
	}{
		{name: "empty"},
		{name: "one byte", n: 1},
		{name: "a chunk", n: 512 << 10},
		{name: "a chunk and a byte", n: 512<<10 + 1},
		{name: "many chunks", n: 20<<20 + 17},
		{name: "byte by byte", n: 3000, wrap: iotest.OneByteReader},
		{name: "data with its end", n: 700_000, wrap: iotest.DataErrReader},
		{name: "halves", n: 2 << 20, wrap: iotest.HalfReader},
	}
	for _, tt := range tests {
		for _, known := range []bool{true, false} {
			name := tt.name
			if !known {
				name += ", unknown size"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m, data := newMemory(), noise(tt.n)
				var r io.Reader = bytes.NewReader(data)
				if tt.wrap != nil {
					r = tt.wrap(r)
				}
				o := files.PutOptions{Size: -1, ContentType: "text/plain"}
				if known {
					o.Size = int64(tt.n)
				}
				s, err := reach(t, m).Put(t.Context(), "k", r, o)
				if err != nil || s.Size != int64(tt.n) || s.SHA256 != sha256.Sum256(data) {
					t.Fatalf("Put = %+v, %v, want %d bytes with their SHA-256", s, err, tt.n)
				}
				if !bytes.Equal(m.objects["k"], data) || m.types["k"] != "text/plain" {
					t.Error("the stored object differs from the content of the Put")
				}
			})
		}
	}
}

// An interrupted Put does not change the object, and the backend receives an error.
func TestPut_interrupted(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk of the reader broke")
	announce := func(n int64) files.PutOptions { return files.PutOptions{Size: n} }
	tests := []struct {
		name string
		r    io.Reader
		o    files.PutOptions
		is   error
		code sdk.ErrorCode
	}{
		{name: "the reader fails", r: io.MultiReader(bytes.NewReader(noise(3<<20)), iotest.ErrReader(broken)), o: announce(-1), is: broken},
		{name: "the reader fails immediately", r: iotest.ErrReader(broken), o: announce(5), is: broken},
		{
			name: "the reader fails at the announced size",
			r:    io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(broken)),
			o:    announce(5), is: broken,
		},
		{
			name: "the reader is cut", r: io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(io.ErrUnexpectedEOF)),
			o: announce(-1), is: io.ErrUnexpectedEOF,
		},
		{name: "less than announced", r: bytes.NewReader(noise(1 << 20)), o: announce(1<<20 + 1), code: sdk.CodeInvalidRequest},
		{name: "more than announced", r: bytes.NewReader(noise(1<<20 + 1)), o: announce(1 << 20), code: sdk.CodeInvalidRequest},
		{name: "some, where none was announced", r: strings.NewReader("x"), o: announce(0), code: sdk.CodeInvalidRequest},
		{name: "none, where some was announced", r: strings.NewReader(""), o: announce(1), code: sdk.CodeInvalidRequest},
		{name: "a bad size", r: strings.NewReader(""), o: announce(-2), code: sdk.CodeInvalidRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			m.objects["k"] = []byte("old")
			m.ended = make(chan error, 1)
			cc, s := loopback.Serve(t, func(s *grpc.Server) { files.Register(s, m) })
			_, err := files.NewClient(cc).Put(t.Context(), "k", tt.r, tt.o)
			if tt.is != nil && err != tt.is || code(err) != tt.code { //nolint:errorlint // Put must not wrap the reader's error
				t.Errorf("Put: got error %v, want %v with code %q", err, tt.is, tt.code)
			}
			s.GracefulStop() // waits until the backend has returned
			if len(m.ended) > 0 && <-m.ended == nil {
				t.Error("the backend received io.EOF from an interrupted stream")
			}
			if string(m.objects["k"]) != "old" {
				t.Errorf("the object has %d bytes, want it unchanged", len(m.objects["k"]))
			}
		})
	}
}

// A backend that stops reading at the announced size does not store an object whose stream fails after it.
func TestPut_lastBytesAreHeldUntilTheEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	m := newMemory()
	m.ended = make(chan error, 1)
	m.put = func(_ context.Context, r io.Reader) (*files.Stored, error) {
		data := make([]byte, 5)
		_, err := io.ReadFull(r, data)
		return &files.Stored{Size: 5}, err
	}
	r := io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(broken))
	cc, s := loopback.Serve(t, func(s *grpc.Server) { files.Register(s, m) })
	if _, err := files.NewClient(cc).Put(t.Context(), "k", r, files.PutOptions{Size: 5}); !errors.Is(err, broken) {
		t.Errorf("Put: got error %v, want the reader's error %v", err, broken)
	}
	s.GracefulStop()
	if len(m.ended) > 0 && <-m.ended == nil {
		t.Error("the backend received all bytes of an interrupted stream")
	}
	// The Put succeeds if the stream ends properly.
	if _, err := reach(t, m).Put(t.Context(), "k", strings.NewReader("hello"), files.PutOptions{Size: 5}); err != nil {
		t.Error(err)
	}
}

func TestPut_cancelled(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.ended = make(chan error, 1)
	cc, s := loopback.Serve(t, func(s *grpc.Server) { files.Register(s, m) })
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	r := readFunc(func(p []byte) (int, error) {
		if read++; read == 8 {
			cancel()
		}
		return len(p), nil
	})
	if _, err := files.NewClient(cc).Put(ctx, "k", r, files.PutOptions{Size: -1}); code(err) != sdk.CodeCancelled {
		t.Errorf("Put: got error %v, want code %s", err, sdk.CodeCancelled)
	}
	s.GracefulStop()
	if <-m.ended == nil || len(m.keys()) > 0 {
		t.Errorf("the backend has the keys %q, want none", m.keys())
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// If a backend without space fails during an endless stream, the client stops reading the stream.
func TestPut_backendFailsEarly(t *testing.T) {
	t.Parallel()
	m := newMemory()
	full := &sdk.Error{Code: sdk.CodeNoSpace, Message: "the disk is full"}
	m.put = func(_ context.Context, r io.Reader) (*files.Stored, error) {
		if _, err := io.CopyN(io.Discard, r, 1<<20); err != nil {
			return nil, err
		}
		return nil, full
	}
	data := noise(512 << 10)
	endless := readFunc(func(p []byte) (int, error) { return copy(p, data), nil })
	_, err := reach(t, m).Put(t.Context(), "k", endless, files.PutOptions{Size: -1})
	var e *sdk.Error
	if !errors.As(err, &e) || *e != *full {
		t.Errorf("Put: got error %#v, want %#v", err, full)
	}
}

// liar is a plugin that sends any response to a Put.
type liar struct {
	filesv1.UnimplementedFilesServiceServer
	answer *filesv1.PutResponse
	reads  bool
}

func (l liar) Put(stream grpc.ClientStreamingServer[filesv1.PutRequest, filesv1.PutResponse]) error {
	for l.reads {
		if _, err := stream.Recv(); err != nil {
			break
		}
	}
	return stream.SendAndClose(l.answer)
}

func TestPut_wrongResponse(t *testing.T) {
	t.Parallel()
	sum := make([]byte, 32)
	tests := []struct {
		name string
		liar liar
		want string
	}{
		{"another size", liar{answer: &filesv1.PutResponse{Size: 4, Sha256: sum}, reads: true}, "did not receive the whole object"},
		{"before the end", liar{answer: &filesv1.PutResponse{Size: 40 << 20, Sha256: sum}}, "did not receive the whole object"},
		{"a short SHA-256", liar{answer: &filesv1.PutResponse{Size: 40 << 20, Sha256: sum[:31]}, reads: true}, "32 bytes"},
		{"a long SHA-256", liar{answer: &filesv1.PutResponse{Size: 40 << 20, Sha256: append(slices.Clone(sum), 1)}, reads: true}, "32 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := files.NewClient(loopback.Connect(t, func(s *grpc.Server) { filesv1.RegisterFilesServiceServer(s, tt.liar) }))
			_, err := c.Put(t.Context(), "k", bytes.NewReader(make([]byte, 40<<20)), files.PutOptions{Size: -1})
			if code(err) != sdk.CodeInternal || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Put: got error %v, want code %s and text %q", err, sdk.CodeInternal, tt.want)
			}
		})
	}
}

// A backend that returns before the end of a stream of unknown size has not stored the object.
func TestPut_backendStopsReading(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.put = func(_ context.Context, r io.Reader) (*files.Stored, error) {
		_, err := io.ReadFull(r, make([]byte, 3))
		return &files.Stored{Size: 3}, err
	}
	_, err := reach(t, m).Put(t.Context(), "k", strings.NewReader("hello"), files.PutOptions{Size: -1})
	if code(err) != sdk.CodeInternal {
		t.Errorf("Put: got error %v, want code %s", err, sdk.CodeInternal)
	}
}

func TestPut_pluginExits(t *testing.T) {
	t.Parallel()
	m := newMemory()
	cc, s := loopback.Serve(t, func(s *grpc.Server) { files.Register(s, m) })
	read := 0
	r := readFunc(func(p []byte) (int, error) {
		if read++; read == 8 {
			go s.Stop()
		}
		return len(p), nil
	})
	_, err := files.NewClient(cc).Put(t.Context(), "k", r, files.PutOptions{Size: -1})
	if e := sdk.AsError(err); e.Code != sdk.CodePluginCrashed || !e.Retryable {
		t.Errorf("Put: got error %v, want a retryable error with code %s", err, sdk.CodePluginCrashed)
	}
	if len(m.keys()) > 0 {
		t.Errorf("the backend has the keys %q, want none", m.keys())
	}
}
