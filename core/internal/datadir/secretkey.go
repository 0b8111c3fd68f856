package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentarea/agentarea/core/internal/config"
)

// KeyFile is the name of the file in a data directory that holds the secret keys in hex, one per line:
// the current key first, then older keys, which decrypt what they once encrypted.
const KeyFile = "secret.key"

// SecretKeys returns the keys of KeyFile, the current key first. It creates the file with a new key
// if it does not exist.
func (d *Dir) SecretKeys() ([][]byte, error) {
	path := d.File(KeyFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := d.Replace(KeyFile, FormatKeys([][]byte{NewKey()})); err != nil {
			return nil, err
		}
	}
	return ReadKeys(path)
}

// NewKey returns a new random key.
func NewKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// ReadKeys reads a file of secret keys. It returns an error if other users than the file's owner have
// access to it. Its errors contain nothing of a key.
func ReadKeys(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&^0o600 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so other users may have read it: run chmod 600 %s, "+
			"and if they have read it, run agentarea secrets rotate", path, mode, path)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	keys, err := config.ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore the key (64 hex digits) from your backup", path, err)
	}
	return keys, nil
}

// FormatKeys returns keys as KeyFile holds them, without the newline at the end.
func FormatKeys(keys [][]byte) string {
	lines := make([]string, len(keys))
	for i, k := range keys {
		lines[i] = hex.EncodeToString(k)
	}
	return strings.Join(lines, "\n")
}

// KeySource is a set of secret keys and where they were found.
type KeySource struct {
	// Keys has the current key first.
	Keys [][]byte
	// Name names the source in messages: the environment variable or the path of the file.
	Name string
	// File is the path of the file. It is empty for the environment variable.
	File string
}

// FindKeys finds the secret keys where serve finds them: in AGENTAREA_SECRET_KEY, or in KeyFile of
// the data directory dir. Unlike serve it returns an error if there is no key.
func FindKeys(dir string, getenv func(string) string) (*KeySource, error) {
	s := config.Settings{SecretKey: config.Secret(getenv("AGENTAREA_SECRET_KEY"))}
	if s.SecretKey != "" {
		keys, err := s.Keys()
		return &KeySource{Keys: keys, Name: "AGENTAREA_SECRET_KEY"}, err
	}
	path := filepath.Join(dir, KeyFile)
	keys, err := ReadKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no secret key found in AGENTAREA_SECRET_KEY or in %s: "+
			"set AGENTAREA_SECRET_KEY to the server's key, or name the server's data dir with --data-dir", path)
	}
	return &KeySource{Keys: keys, Name: path, File: path}, err
}
