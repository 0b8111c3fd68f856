package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
)

// firstBuffer is the initial buffer size of an upload of unknown size, in bytes. Most files
// are small.
const firstBuffer = 128 << 10

// upload is the work of one Put. It reads a part while the previous one is being sent, so
// that two parts are in memory.
type upload struct {
	b       *backend
	put     *activePut
	name    string
	putID   string
	options minio.PutObjectOptions

	sum  hash.Hash
	size int64
	// id is S3's id of the multipart upload. It is empty until there is more than one part.
	id    string
	parts []minio.CompletePart
	// inFlight receives the result of the part that is being sent; nil if there is none.
	inFlight chan partResult
	// freeBuffer is the buffer of a part that was sent.
	freeBuffer []byte
}

// partResult is the result of sending a part.
type partResult struct {
	data []byte
	etag string
	err  error
}

// run uploads the bytes of r. size is -1 if it is unknown. Errors of r are returned
// unchanged.
func (u *upload) run(ctx context.Context, r io.Reader, size int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		// A part that is still being sent must not arrive after the abort.
		cancel()
		_ = u.wait()
	}()
	full := u.b.partSize(size)
	buf := make([]byte, 0, firstBuffer)
	if size >= 0 {
		// One more byte, to read until EOF without growing the buffer.
		buf = make([]byte, 0, min(size+1, int64(full)))
	}
	for {
		part, eof, err := u.read(r, buf, full)
		if err != nil {
			return err
		}
		u.sum.Write(part)
		u.size += int64(len(part))
		if eof && u.id == "" {
			return u.single(ctx, part)
		}
		if len(part) > 0 {
			if err := u.send(ctx, part); err != nil {
				return err
			}
		}
		if eof {
			return u.complete(ctx)
		}
		if buf, u.freeBuffer = u.freeBuffer, nil; buf == nil {
			buf = make([]byte, 0, full)
		}
	}
}

// partSize returns the part size for a file. It exceeds the config's if the file would have
// too many parts.
func (b *backend) partSize(size int64) int {
	const step = 1 << 20
	minSize := (size + maxParts - 1) / maxParts
	return max(b.partSizeBytes, int((minSize+step-1)/step*step))
}

// read fills part, which it may reallocate, and reports whether r is at EOF. It returns
// early when sending the previous part has failed.
func (u *upload) read(r io.Reader, part []byte, full int) (_ []byte, eof bool, _ error) {
	for len(part) < full {
		if len(part) == cap(part) {
			part = append(make([]byte, 0, min(2*cap(part), full)), part...)
		}
		n, err := r.Read(part[len(part):cap(part)])
		part = part[:len(part)+n]
		if err == io.EOF { // a wrapped io.EOF is an error of r
			return part, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		select {
		case s := <-u.inFlight:
			if err := u.partDone(s); err != nil {
				return nil, false, err
			}
		default:
		}
	}
	return part, false, nil
}

// single uploads a small file with a single request.
func (u *upload) single(ctx context.Context, data []byte) error {
	sum := hex.EncodeToString(u.sum.Sum(nil))
	return u.commit(ctx, func(ctx context.Context) error {
		_, err := u.b.s3.PutObject(ctx, u.b.config.Bucket, u.name, bytes.NewReader(data), int64(len(data)), "", sum,
			u.options)
		return err
	})
}

// send starts to send a part after the previous one is done.
func (u *upload) send(ctx context.Context, part []byte) error {
	if u.id == "" {
		err := u.create(ctx, "begin an upload", func(ctx context.Context) (err error) {
			u.id, err = u.b.s3.NewMultipartUpload(ctx, u.b.config.Bucket, u.name, u.options)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := u.wait(); err != nil {
		return err
	}
	if len(u.parts) == maxParts {
		return &sdk.Error{
			Code:    sdk.CodeNoSpace,
			Message: fmt.Sprintf("the file has more than %d parts; set a larger part_size in plugins.hcl", maxParts),
		}
	}
	number, inFlight := len(u.parts)+1, make(chan partResult, 1)
	u.inFlight = inFlight
	go func() {
		etag, err := u.sendPart(ctx, part, number)
		inFlight <- partResult{data: part, etag: etag, err: err}
	}()
	return nil
}

// sendPart sends a part with its SHA-256. The signature covers it, so S3 rejects other
// bytes.
func (u *upload) sendPart(ctx context.Context, data []byte, number int) (etag string, err error) {
	sum := sha256.Sum256(data)
	o := minio.PutObjectPartOptions{DisableContentSha256: true, Sha256Hex: hex.EncodeToString(sum[:])}
	err = u.b.retry(ctx, "send a part", func() error {
		part, err := u.b.s3.PutObjectPart(ctx, u.b.config.Bucket, u.name, u.id, number, bytes.NewReader(data),
			int64(len(data)), o)
		etag = part.ETag
		return err
	})
	return etag, err
}

// wait returns the result of the part in flight.
func (u *upload) wait() error {
	if u.inFlight == nil {
		return nil
	}
	return u.partDone(<-u.inFlight)
}

// partDone records the result of a part.
func (u *upload) partDone(s partResult) error {
	u.inFlight = nil
	if s.err != nil {
		return s.err
	}
	u.parts = append(u.parts, minio.CompletePart{PartNumber: len(u.parts) + 1, ETag: s.etag})
	u.freeBuffer = s.data[:0]
	return nil
}

// complete creates the object from the parts.
func (u *upload) complete(ctx context.Context) error {
	if err := u.wait(); err != nil {
		return err
	}
	return u.commit(ctx, func(ctx context.Context) error {
		_, err := u.b.s3.CompleteMultipartUpload(ctx, u.b.config.Bucket, u.name, u.id, u.parts, minio.PutObjectOptions{})
		return err
	})
}
