package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agentarea/agentarea/core/internal/config"
)

// keyFile is the file of the data dir that has the secret keys, one a line: the
// current one, and then older ones that still open what they sealed.
const keyFile = "secret.key"

// secretKeys are those of the file. The first start makes one.
func (d *dataDir) secretKeys() ([][]byte, error) {
	path := d.file(keyFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := d.replace(keyFile, newKey()); err != nil {
			return nil, err
		}
	}
	return readKeys(path)
}

// newKey is a key in hex.
func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return hex.EncodeToString(key)
}

// readKeys reads a file of secret keys. It fails when others than its owner may.
func readKeys(path string) ([][]byte, error) {
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
		return nil, fmt.Errorf("%s has mode %04o, so that others than its owner may have read it: chmod 600 %s, "+
			"and if they have, agentarea secrets rotate", path, mode, path)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	keys, err := config.ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: put the key from your backup there (64 hex digits)", path, err)
	}
	return keys, nil
}

// keySource is where secret keys come from: a variable, or the file of a data dir.
type keySource struct {
	keys [][]byte
	// name is for people.
	name string
	// file is the path of the file; empty for the variable.
	file string
}

// findKeys finds the keys as serve does, but makes none.
func findKeys(dataDir string, getenv func(string) string) (*keySource, error) {
	s := config.Settings{SecretKey: config.Secret(getenv("AGENTAREA_SECRET_KEY"))}
	if s.SecretKey != "" {
		keys, err := s.Keys()
		return &keySource{keys: keys, name: "AGENTAREA_SECRET_KEY"}, err
	}
	path := filepath.Join(dataDir, keyFile)
	keys, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no secret key: neither in AGENTAREA_SECRET_KEY nor in %s (set the one that the server has, or name its --data-dir)", path)
	}
	return &keySource{keys: keys, name: path, file: path}, err
}
