package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"
)

// maxDurable is the maximum number of folders to remember.
const maxDurable = 10_000

// folders creates folders that survive a power failure, and remembers which ones do.
type folders struct {
	root    *os.Root
	mu      sync.Mutex
	durable map[string]bool
}

// make creates a folder and its parents, and returns when all of them are on the disk. It
// syncs existing folders too, because a killed process may have created one without syncing
// it.
func (f *folders) make(name string) error {
	if name == "." || f.isDurable(name) {
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
	if f.durable == nil || len(f.durable) >= maxDurable {
		f.durable = map[string]bool{}
	}
	f.durable[name] = true
	return nil
}

// isDurable reports whether the folder is known to be on the disk.
func (f *folders) isDurable(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.durable[name]
}

// forget clears the memory, because somebody else may have removed folders.
func (f *folders) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.durable)
}

// sync flushes a folder's list of names to the disk.
func (f *folders) sync(name string) error {
	d, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
