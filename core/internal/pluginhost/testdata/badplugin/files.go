package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// store keeps files in its data directory, which all processes of a block share. It replaces
// slashes in keys with underscores.
type store struct {
	*bad
	dir string
	// failure is the code of the error of Stat, or "". A "retryable" one is a failure of the network.
	failure string
}

func (s *store) Configure(ctx context.Context, env sdk.Env) error {
	s.dir = env.DataDir
	return s.bad.Configure(ctx, env)
}

func (s *store) path(key string) string {
	return filepath.Join(s.dir, strings.ReplaceAll(key, "/", "_"))
}

func (s *store) Stat(_ context.Context, key string) (*files.Object, error) {
	switch s.failure {
	case "":
	case "retryable":
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "no route to host", Retryable: true}
	default:
		return nil, &sdk.Error{Code: sdk.ErrorCode(s.failure), Message: "no bucket for " + s.config.Secret}
	}
	info, err := os.Stat(s.path(key))
	if err != nil {
		return nil, refusal(err)
	}
	return &files.Object{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil
}

func (s *store) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	f, err := os.Open(s.path(key))
	if err != nil {
		return nil, refusal(err)
	}
	if length == 0 {
		length = 1 << 40
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, length), f}, nil
}

// Put implements files.Backend. It crashes after the first byte if the key is "crash".
func (s *store) Put(_ context.Context, key string, r io.Reader, _ files.PutOptions) (*files.Stored, error) {
	if key == "crash" {
		_, _ = io.ReadFull(r, make([]byte, 1))
		slog.Error("about to crash", "error", s.config.Secret)
		panicHard()
	}
	f, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(f, io.TeeReader(r, h))
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return &files.Stored{Size: n, SHA256: [32]byte(h.Sum(nil))}, os.Rename(f.Name(), s.path(key))
}

func (s *store) Delete(_ context.Context, key string) error {
	if err := os.Remove(s.path(key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *store) List(_ context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			yield(files.Object{}, err)
			return
		}
		slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		for _, e := range entries {
			if name := e.Name(); strings.HasPrefix(name, prefix) && name > after && name[0] != '.' {
				if !yield(files.Object{Key: name}, nil) {
					return
				}
			}
		}
	}
}

func (s *store) Presign(_ context.Context, r files.PresignRequest) (string, error) {
	return "https://example.com/" + r.Key + "?for=" + r.Expires.Round(time.Second).String(), nil
}

func refusal(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &sdk.Error{Code: sdk.CodeNotFound, Message: "no such key"}
	}
	return err
}
