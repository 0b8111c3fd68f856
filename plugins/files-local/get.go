package main

import (
	"context"
	"io"
	"io/fs"
	"os"

	"github.com/agentarea/agentarea/sdk/files"
)

// Stat implements files.Backend.
func (b *backend) Stat(ctx context.Context, key string) (*files.Object, error) {
	info, err := b.root.Lstat(objectPath(key))
	if isNotExist(err) || err == nil && !info.Mode().IsRegular() {
		return nil, notFound()
	}
	if err != nil {
		return nil, publicError(ctx, "stat", err)
	}
	o := object(key, info)
	return &o, nil
}

// object returns the files.Object of a key and its file.
func object(key string, info fs.FileInfo) files.Object {
	return files.Object{Key: key, Size: info.Size(), Modified: info.ModTime().UTC()}
}

// Get implements files.Backend. A later Put or Delete of the key does not affect the
// returned reader.
func (b *backend) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	f, err := b.root.Open(objectPath(key))
	if isNotExist(err) {
		return nil, notFound()
	}
	if err != nil {
		return nil, publicError(ctx, "get", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, publicError(ctx, "get", err)
	}
	remaining := max(0, info.Size()-offset)
	if length > 0 {
		remaining = min(remaining, length)
	}
	return &section{ctx: ctx, file: f, offset: offset, remaining: remaining}, nil
}

// section reads a range of a file.
type section struct {
	ctx               context.Context
	file              *os.File
	offset, remaining int64
}

func (s *section) Read(p []byte) (int, error) {
	if s.remaining == 0 {
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.remaining)], s.offset)
	s.offset += int64(n)
	s.remaining -= int64(n)
	if n > 0 {
		return n, nil // a persistent error comes back with the next Read
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // the file has been truncated
	}
	return 0, publicError(s.ctx, "get", err)
}

func (s *section) Close() error { return s.file.Close() }
