package files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/internal/leaktest"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var noon = time.Date(2026, 5, 4, 12, 0, 0, 7e6, time.UTC)

// memory is a backend in memory. If one of its functions is set, it replaces the method.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	types   map[string]string

	put  func(context.Context, io.Reader) (*files.Stored, error)
	get  func(context.Context) (io.ReadCloser, error)
	list iter.Seq2[files.Object, error]
	// ended, if set, receives the error of each Put.
	ended chan error
}

func newMemory() *memory {
	return &memory{objects: map[string][]byte{}, types: map[string]string{}}
}

func notFound(key string) error {
	return &sdk.Error{Code: sdk.CodeNotFound, Message: "there is no " + key}
}

func (m *memory) Stat(_ context.Context, key string) (*files.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return nil, notFound(key)
	}
	return &files.Object{Key: key, Size: int64(len(data)), Modified: noon}, nil
}

func (m *memory) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if m.get != nil {
		return m.get(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return nil, notFound(key)
	}
	data = data[min(offset, int64(len(data))):]
	if length > 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *memory) Put(ctx context.Context, key string, r io.Reader, o files.PutOptions) (s *files.Stored, err error) {
	if m.ended != nil {
		defer func() { m.ended <- err }()
	}
	if m.put != nil {
		return m.put(ctx, r)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key], m.types[key] = data, o.ContentType
	return &files.Stored{Size: int64(len(data)), SHA256: sha256.Sum256(data)}, nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

func (m *memory) List(_ context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	if m.list != nil {
		return m.list
	}
	return func(yield func(files.Object, error) bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(m.objects)) {
			if key > after && strings.HasPrefix(key, prefix) &&
				!yield(files.Object{Key: key, Size: int64(len(m.objects[key]))}, nil) {
				return
			}
		}
	}
}

func (m *memory) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

func reach(tb testing.TB, b files.Backend) *files.Client {
	tb.Helper()
	return files.NewClient(loopback.Connect(tb, func(s *grpc.Server) { files.Register(s, b) }))
}

func code(err error) sdk.ErrorCode {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// noise returns n pseudo-random bytes, the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint64(n) + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}
