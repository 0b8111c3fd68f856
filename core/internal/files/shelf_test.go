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

var errCrashed = &sdk.Error{Code: sdk.CodePluginCrashed, Message: "the plugin's process died", Retryable: true}

// shelf is a backend that fails on demand.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	// away is what a look-up of the backend fails with.
	away error
	// put, get and remove, if set, come before what the shelf does: an error is
	// the call's. put may change what is kept.
	put    func(ctx context.Context, key string, data *[]byte) error
	get    func(ctx context.Context, key string, offset int64) (io.ReadCloser, error)
	remove func(ctx context.Context, key string) error
}

// set changes what fails.
func (s *shelf) set(change func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *shelf) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

func (s *shelf) Put(ctx context.Context, key string, r io.Reader, _ backends.PutOptions) (*backends.Stored, error) {
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
	s.set(func(s *shelf) { s.objects[key] = data })
	return &backends.Stored{Size: int64(len(data)), SHA256: sha256.Sum256(data)}, nil
}

func (s *shelf) Get(ctx context.Context, key string, offset, _ int64) (io.ReadCloser, error) {
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

func (s *shelf) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	remove := s.remove
	s.mu.Unlock()
	if remove != nil {
		if err := remove(ctx, key); err != nil {
			return err
		}
	}
	s.set(func(s *shelf) { delete(s.objects, key) })
	return nil
}

func (s *shelf) Stat(context.Context, string) (*backends.Object, error) {
	return nil, errors.New("not asked for")
}

func (s *shelf) List(context.Context, string, string) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) { yield(backends.Object{}, errors.New("not asked for")) }
}

// shelves are the backends of a plugins.hcl.
type shelves map[string]*shelf

// FileBackend implements Backends: new files go to local.
func (s shelves) FileBackend(_ context.Context, label string) (string, backends.Backend, error) {
	if label == "" {
		label = "local"
	}
	one, ok := s[label]
	if !ok {
		return "", nil, core.Unavailable("There is no files plugin %q in plugins.hcl any more", label)
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.away != nil {
		return "", nil, one.away
	}
	return label, one, nil
}
