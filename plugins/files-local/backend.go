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

// Folders inside the backend's folder.
const (
	// objectsFolder holds complete objects.
	objectsFolder = "objects"
	// partsFolder holds parts: the temporary files of uploads in progress.
	partsFolder = "parts"
)

// config is the config block in plugins.hcl.
type config struct {
	Path string `config:"path" default:"files" doc:"folder that stores the files; a relative path starts at plugins/files-LABEL in the data folder of the server"`
}

// backend implements files.Backend. It can be used after Configure has returned nil.
//
// A key maps to a path below objects (see objectPath). The path cannot leave that folder.
// Put writes a part and renames it to the object's path when all of it is on the disk.
type backend struct {
	config config
	// root confines every access to the backend's folder.
	root    *os.Root
	folders folders
}

func newBackend() *backend { return &backend{} }

// Configure creates the folder and checks that it is writable.
func (b *backend) Configure(_ context.Context, env sdk.Env) error {
	path := b.config.Path
	if path == "" {
		return invalidPath("must not be empty", errors.New("set it to the folder that stores the files, or remove the line"))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(env.DataDir, path)
	}
	if err := makeFolder(path); err != nil {
		return invalidPath("the folder cannot be created", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return invalidPath("the folder cannot be opened", err)
	}
	b.root = root
	b.folders.root = root
	for _, name := range []string{objectsFolder, partsFolder} {
		if err := b.folders.make(name); err != nil {
			return invalidPath("the folder is not writable", err)
		}
	}
	if err := b.probe(); err != nil {
		return invalidPath("the folder is not writable", err)
	}
	return nil
}

// invalidPath returns an error about the attribute "path".
func invalidPath(summary string, err error) error {
	return &sdk.ConfigError{Path: []string{"path"}, Summary: summary, Detail: err.Error()}
}

// makeFolder works like os.MkdirAll, and syncs each parent folder so that the new folder
// survives a power failure.
func makeFolder(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // os.OpenRoot fails if it is not a folder
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

// Health reports whether files can be created. A full disk is healthy, because it still
// serves reads.
func (b *backend) Health(context.Context) error {
	if err := b.probe(); err != nil {
		return errors.New(diskErrorMessage(err))
	}
	return nil
}

// probe creates a file and removes it. It succeeds on a full disk.
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
