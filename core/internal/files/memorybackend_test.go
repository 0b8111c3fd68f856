package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	backends "github.com/agentarea/agentarea/sdk/files"
)

var errCrashed = &sdk.Error{Code: sdk.CodePluginCrashed, Message: "the plugin crashed", Retryable: true}

// memoryBackend is an in-memory backend with injected errors.
type memoryBackend struct {
	mu      sync.Mutex
	objects map[string][]byte
	// failure is the error of FileBackend.
	failure error
	// put, get and remove, if set, are called first. Their error is
	// the error of the call. put may change the stored data.
	put    func(ctx context.Context, key string, data *[]byte) error
	get    func(ctx context.Context, key string, offset int64) (io.ReadCloser, error)
	remove func(ctx context.Context, key string) error
}

// set changes the backend under its lock.
func (s *memoryBackend) set(change func(*memoryBackend)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *memoryBackend) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

func (s *memoryBackend) Put(
	ctx context.Context, key string, r io.Reader, _ backends.PutOptions,
) (*backends.Stored, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	put := s.put
	s.mu.Unlock()
	if put != nil {
		if err := put(ctx, key, &data); err != nil {
			return nil, err
		}
	}
	s.set(func(s *memoryBackend) { s.objects[key] = data })
	return &backends.Stored{Size: int64(len(data)), SHA256: sha256.Sum256(data)}, nil
}

func (s *memoryBackend) Get(ctx context.Context, key string, offset, _ int64) (io.ReadCloser, error) {
	s.mu.Lock()
	get, data := s.get, s.objects[key]
	_, found := s.objects[key]
	s.mu.Unlock()
	if get != nil {
		if r, err := get(ctx, key, offset); r != nil || err != nil {
			return r, err
		}
	}
	if !found {
		return nil, &sdk.Error{Code: sdk.CodeNotFound, Message: "no such key"}
	}
	return io.NopCloser(bytes.NewReader(data[min(offset, int64(len(data))):])), nil
}

func (s *memoryBackend) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	remove := s.remove
	s.mu.Unlock()
	if remove != nil {
		if err := remove(ctx, key); err != nil {
			return err
		}
	}
	s.set(func(s *memoryBackend) { delete(s.objects, key) })
	return nil
}

func (s *memoryBackend) Stat(context.Context, string) (*backends.Object, error) {
	return nil, errors.New("not asked for")
}

func (s *memoryBackend) List(context.Context, string, string) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) { yield(backends.Object{}, errors.New("not asked for")) }
}

// memoryBackends implements Backends by label.
type memoryBackends map[string]*memoryBackend

// FileBackend implements Backends: new files go to local.
func (s memoryBackends) FileBackend(_ context.Context, label string) (string, backends.Backend, error) {
	if label == "" {
		label = "local"
	}
	one, ok := s[label]
	if !ok {
		return "", nil, core.Unavailable("There is no files plugin %q in plugins.hcl any more", label)
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.failure != nil {
		return "", nil, one.failure
	}
	return label, one, nil
}
