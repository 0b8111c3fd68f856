// Command shelf is a file backend with the fault that FAULT names, for tests of the checks. Without FAULT it
// is correct.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

var fault = os.Getenv("FAULT")

// kept are files that the garbage collector must not close.
var kept sync.Map

// shelf stores each object in a file. The file contains the length of the key in two bytes, the key and the
// data.
type shelf struct {
	dir string
	// keys has the key of each path that List has read.
	keys   sync.Map
	config struct {
		Size int `config:"size" default:"1" doc:"at least 1"`
	}
}

func main() {
	s := &shelf{}
	files.Serve(sdk.Info{Name: "files-shelf", Version: "1.0.0", Config: &s.config}, s)
}

func (s *shelf) Configure(_ context.Context, env sdk.Env) error {
	s.dir = env.DataDir
	if s.config.Size < 1 {
		return &sdk.ConfigError{Path: []string{"size"}, Summary: "is too small"}
	}
	return nil
}

func (s *shelf) Health(context.Context) error {
	if fault == "ill" {
		return errors.New("ill")
	}
	return nil
}

func (s *shelf) path(key string) string {
	if fault == "folds case" {
		key = strings.ToLower(key)
	}
	name := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, "o-"+hex.EncodeToString(name[:]))
}

func (s *shelf) open(path string) (*os.File, *files.Object, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && fault != "no not_found" {
		return nil, nil, &sdk.Error{Code: sdk.CodeNotFound, Message: "not there"}
	}
	if err != nil {
		return nil, nil, err
	}
	var head [2]byte
	_, err = io.ReadFull(f, head[:])
	key := make([]byte, binary.BigEndian.Uint16(head[:]))
	if err == nil {
		_, err = io.ReadFull(f, key)
	}
	info, statErr := f.Stat()
	if err := errors.Join(err, statErr); err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, &files.Object{Key: string(key), Size: info.Size() - int64(2+len(key)), Modified: info.ModTime()}, nil
}

// stat returns the properties of the object in a file. A path always has the same key, so stat reads it once.
func (s *shelf) stat(path string) (*files.Object, error) {
	key, ok := s.keys.Load(path)
	if !ok {
		f, o, err := s.open(path)
		if err != nil {
			return nil, err
		}
		s.keys.Store(path, o.Key)
		return o, f.Close()
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &files.Object{
		Key: key.(string), Size: info.Size() - int64(2+len(key.(string))), Modified: info.ModTime(),
	}, nil
}

func (s *shelf) Stat(_ context.Context, key string) (*files.Object, error) {
	f, o, err := s.open(s.path(key))
	if err != nil {
		return nil, err
	}
	return o, f.Close()
}

func (s *shelf) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	f, o, err := s.open(s.path(key))
	if err != nil {
		return nil, err
	}
	switch fault {
	case "ignores ranges":
		return f, nil
	case "keeps files open":
		kept.Store(f, true)
		return io.NopCloser(f), nil
	}
	left := max(0, o.Size-offset)
	if length > 0 && fault != "ignores lengths" {
		left = min(left, length)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, int64(2+len(o.Key))+offset, left), f}, nil
}

func (s *shelf) Put(_ context.Context, key string, r io.Reader, _ files.PutOptions) (*files.Stored, error) {
	part, err := os.CreateTemp(s.dir, "part-")
	if fault == "writes in place" {
		part, err = os.Create(s.path(key))
	}
	if err != nil {
		return nil, err
	}
	defer part.Close()
	head := binary.BigEndian.AppendUint16(nil, uint16(len(key)))
	if _, err := part.Write(append(head, key...)); err != nil {
		return nil, err
	}
	if fault == "buffers" {
		all, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(all)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(part, sum), r)
	if err != nil && fault != "keeps what was cut" {
		if fault != "writes in place" {
			_ = os.Remove(part.Name())
		}
		return nil, err
	}
	if fault == "lies about the sum" {
		sum.Reset()
	}
	if fault != "writes in place" {
		if err := os.Rename(part.Name(), s.path(key)); err != nil {
			return nil, err
		}
	}
	return &files.Stored{Size: n, SHA256: [32]byte(sum.Sum(nil))}, nil
}

func (s *shelf) Delete(_ context.Context, key string) error {
	err := os.Remove(s.path(key))
	if errors.Is(err, os.ErrNotExist) && fault != "deletes once" {
		return nil
	}
	return err
}

func (s *shelf) List(_ context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		paths, _ := filepath.Glob(filepath.Join(s.dir, "o-*"))
		var all []files.Object
		for _, path := range paths {
			o, err := s.stat(path)
			if err != nil {
				continue // deleted meanwhile, or incomplete
			}
			if strings.HasPrefix(o.Key, prefix) && (o.Key > after || fault == "ignores after") {
				all = append(all, *o)
			}
		}
		if fault != "lists in no order" {
			slices.SortFunc(all, func(a, b files.Object) int { return strings.Compare(a.Key, b.Key) })
		}
		if fault == "lists one page" {
			all = all[:min(len(all), 1000)]
		}
		for _, o := range all {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (s *shelf) Presign(_ context.Context, r files.PresignRequest) (string, error) {
	if fault == "presigns nonsense" {
		return "http://127.0.0.1:1/" + r.Key, nil
	}
	return "", nil
}
