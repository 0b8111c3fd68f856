package files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// drawer is a backend that stores objects in memory.
type drawer struct {
	mu      sync.Mutex
	objects map[string]object
}

type object struct {
	data []byte
	put  time.Time
}

func (d *drawer) find(key string) (object, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o, ok := d.objects[key]
	if !ok {
		return o, &sdk.Error{Code: sdk.CodeNotFound, Message: "there is no " + key}
	}
	return o, nil
}

func (d *drawer) Stat(_ context.Context, key string) (*files.Object, error) {
	o, err := d.find(key)
	if err != nil {
		return nil, err
	}
	return &files.Object{Key: key, Size: int64(len(o.data)), Modified: o.put}, nil
}

func (d *drawer) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	o, err := d.find(key)
	if err != nil {
		return nil, err
	}
	if length == 0 {
		length = int64(len(o.data))
	}
	return io.NopCloser(io.NewSectionReader(bytes.NewReader(o.data), offset, length)), nil
}

// Put stores nothing if r fails. Only a complete stream ends with io.EOF.
func (d *drawer) Put(_ context.Context, key string, r io.Reader, _ files.PutOptions) (*files.Stored, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.objects[key] = object{data, time.Now()}
	return &files.Stored{Size: int64(len(data)), SHA256: sha256.Sum256(data)}, nil
}

func (d *drawer) Delete(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.objects, key)
	return nil
}

func (d *drawer) List(_ context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		d.mu.Lock()
		objects := maps.Clone(d.objects)
		d.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			o := files.Object{Key: key, Size: int64(len(objects[key].data)), Modified: objects[key].put}
			if strings.HasPrefix(key, prefix) && key > after && !yield(o, nil) {
				return
			}
		}
	}
}

// A complete backend consists of this main function and the type above.
func ExampleServe() {
	files.Serve(sdk.Info{Name: "files-drawer", Version: "1.0.0", Description: "Keeps files until it ends."},
		&drawer{objects: map[string]object{}})
}
