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
	if missing(err) || err == nil && !info.Mode().IsRegular() {
		return nil, notFound()
	}
	if err != nil {
		return nil, failure(ctx, "stat", err)
	}
	o := object(key, info)
	return &o, nil
}

func object(key string, info fs.FileInfo) files.Object {
	return files.Object{Key: key, Size: info.Size(), Modified: info.ModTime().UTC()}
}

// Get implements files.Backend. A Put or a Delete of the key leaves what it reads
// alone.
func (b *backend) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	f, err := b.root.Open(objectPath(key))
	if missing(err) {
		return nil, notFound()
	}
	if err != nil {
		return nil, failure(ctx, "get", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, failure(ctx, "get", err)
	}
	left := max(0, info.Size()-offset)
	if length > 0 {
		left = min(left, length)
	}
	return &section{ctx: ctx, file: f, offset: offset, left: left}, nil
}

// section reads a range of a file.
type section struct {
	ctx          context.Context
	file         *os.File
	offset, left int64
}

func (s *section) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.left)], s.offset)
	s.offset += int64(n)
	s.left -= int64(n)
	if n > 0 {
		return n, nil // an error comes again with the next bytes
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // the file is shorter than it was
	}
	return 0, failure(s.ctx, "get", err)
}

func (s *section) Close() error { return s.file.Close() }
