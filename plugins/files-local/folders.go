package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"
)

// maxSafe bounds what is remembered of folders.
const maxSafe = 10_000

// folders makes folders that outlive a power failure, and remembers which do.
type folders struct {
	root *os.Root
	mu   sync.Mutex
	safe map[string]bool
}

// make makes a folder and those above it, and returns once they are all on the
// disk: one that is there may be a killed process's, which had not seen to that.
func (f *folders) make(name string) error {
	if name == "." || f.isSafe(name) {
		return nil
	}
	parent := path.Dir(name)
	if err := f.make(parent); err != nil {
		return err
	}
	if err := f.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := f.sync(parent); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.safe == nil || len(f.safe) >= maxSafe {
		f.safe = map[string]bool{}
	}
	f.safe[name] = true
	return nil
}

func (f *folders) isSafe(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.safe[name]
}

// forget is for folders that somebody else has removed.
func (f *folders) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.safe)
}

// sync puts on the disk which names a folder has.
func (f *folders) sync(name string) error {
	d, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
