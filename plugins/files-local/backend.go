package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/agentarea/agentarea/sdk"
)

// The folders inside the backend's own: where the objects are, and where they
// come to be.
const (
	objectsFolder = "objects"
	partsFolder   = "parts"
)

// config is the stanza's config block.
type config struct {
	Path string `config:"path" default:"files" doc:"the folder to keep the bytes in; a relative path begins in the plugin's folder of the server's data"`
}

// backend implements files.Backend. It is usable once Configure has returned nil.
//
// A key is a path below objects, in names that no key can break out of (see
// path). A Put writes a part, and moves it there when it is whole and on the
// disk.
type backend struct {
	config config
	// root keeps every access inside the folder.
	root    *os.Root
	folders folders
}

func newBackend() *backend { return &backend{} }

// Configure makes the folder, and tries to write to it.
func (b *backend) Configure(_ context.Context, env sdk.Env) error {
	path := b.config.Path
	if path == "" {
		return badPath("is empty", errors.New("write the folder to keep the bytes in, or leave the line out"))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(env.DataDir, path)
	}
	if err := makeFolder(path); err != nil {
		return badPath("the folder can't be made", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return badPath("the folder can't be opened", err)
	}
	b.root = root
	b.folders.root = root
	for _, name := range []string{objectsFolder, partsFolder} {
		if err := b.folders.make(name); err != nil {
			return badPath("the folder can't be written", err)
		}
	}
	if err := b.probe(); err != nil {
		return badPath("the folder can't be written", err)
	}
	return nil
}

func badPath(summary string, err error) error {
	return &sdk.ConfigError{Path: []string{"path"}, Summary: summary, Detail: err.Error()}
}

// makeFolder is os.MkdirAll whose folders outlive a power failure.
func makeFolder(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // what it is, if no folder, os.OpenRoot tells
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// Health tells whether files can be made. A disk that is full still serves.
func (b *backend) Health(context.Context) error {
	if err := b.probe(); err != nil {
		return errors.New(ailment(err))
	}
	return nil
}

// probe makes a file and removes it.
func (b *backend) probe() error {
	name := partsFolder + "/probe-" + rand.Text()
	f, err := b.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Close()
	return b.root.Remove(name)
}
