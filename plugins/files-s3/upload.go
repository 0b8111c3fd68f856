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

// firstBuffer is what an upload of unknown size begins with, in bytes: most
// files are small.
const firstBuffer = 128 << 10

// upload is the work of one Put. A part is read while the one before it is on its
// way, so there are two in memory.
type upload struct {
	b       *backend
	put     *put
	name    string
	mark    string
	options minio.PutObjectOptions

	sum  hash.Hash
	size int64
	// id is S3's, once there is more than a part.
	id    string
	parts []minio.CompletePart
	// flight has the outcome of the part that is on its way; nil without one.
	flight chan sent
	// spare is the memory of a part that has arrived.
	spare []byte
}

// sent is the outcome of a part.
type sent struct {
	data []byte
	etag string
	err  error
}

// run puts what r gives; size is -1 when unknown. An error of r comes as it is.
func (u *upload) run(ctx context.Context, r io.Reader, size int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		// No part may arrive after the abort.
		cancel()
		_ = u.wait()
	}()
	full := u.b.partSize(size)
	buf := make([]byte, 0, firstBuffer)
	if size >= 0 {
		// One byte more, to find the end in.
		buf = make([]byte, 0, min(size+1, int64(full)))
	}
	for {
		part, end, err := u.read(r, buf, full)
		if err != nil {
			return err
		}
		u.sum.Write(part)
		u.size += int64(len(part))
		if end && u.id == "" {
			return u.single(ctx, part)
		}
		if len(part) > 0 {
			if err := u.send(ctx, part); err != nil {
				return err
			}
		}
		if end {
			return u.complete(ctx)
		}
		if buf, u.spare = u.spare, nil; buf == nil {
			buf = make([]byte, 0, full)
		}
	}
}

// partSize is larger than the config's for a file that would have too many parts.
func (b *backend) partSize(size int64) int {
	const step = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(b.part, int((least+step-1)/step*step))
}

// read fills part, which may grow, and says whether r has ended. It ends early
// when the part before has failed.
func (u *upload) read(r io.Reader, part []byte, full int) (_ []byte, end bool, _ error) {
	for len(part) < full {
		if len(part) == cap(part) {
			part = append(make([]byte, 0, min(2*cap(part), full)), part...)
		}
		n, err := r.Read(part[len(part):cap(part)])
		part = part[:len(part)+n]
		if err == io.EOF { // a wrapped one is a failure of r
			return part, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		select {
		case s := <-u.flight:
			if err := u.arrived(s); err != nil {
				return nil, false, err
			}
		default:
		}
	}
	return part, false, nil
}

// single puts a small file by one request.
func (u *upload) single(ctx context.Context, data []byte) error {
	sum := hex.EncodeToString(u.sum.Sum(nil))
	return u.commit(ctx, func(ctx context.Context) error {
		_, err := u.b.s3.PutObject(ctx, u.b.config.Bucket, u.name, bytes.NewReader(data), int64(len(data)), "", sum, u.options)
		return err
	})
}

// send begins to send a part, once the one before has arrived.
func (u *upload) send(ctx context.Context, part []byte) error {
	if u.id == "" {
		err := u.make(ctx, "begin an upload", func(ctx context.Context) (err error) {
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
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: fmt.Sprintf("the file has more than %d parts; set a larger part_size in plugins.hcl", maxParts)}
	}
	number, flight := len(u.parts)+1, make(chan sent, 1)
	u.flight = flight
	go func() {
		etag, err := u.sendPart(ctx, part, number)
		flight <- sent{data: part, etag: etag, err: err}
	}()
	return nil
}

// sendPart sends a part with its SHA-256, which the signature covers: S3 refuses
// other bytes.
func (u *upload) sendPart(ctx context.Context, data []byte, number int) (etag string, err error) {
	sum := sha256.Sum256(data)
	o := minio.PutObjectPartOptions{DisableContentSha256: true, Sha256Hex: hex.EncodeToString(sum[:])}
	err = u.b.try(ctx, "send a part", func() error {
		part, err := u.b.s3.PutObjectPart(ctx, u.b.config.Bucket, u.name, u.id, number, bytes.NewReader(data), int64(len(data)), o)
		etag = part.ETag
		return err
	})
	return etag, err
}

// wait gives the outcome of the part on its way.
func (u *upload) wait() error {
	if u.flight == nil {
		return nil
	}
	return u.arrived(<-u.flight)
}

func (u *upload) arrived(s sent) error {
	u.flight = nil
	if s.err != nil {
		return s.err
	}
	u.parts = append(u.parts, minio.CompletePart{PartNumber: len(u.parts) + 1, ETag: s.etag})
	u.spare = s.data[:0]
	return nil
}

// complete makes the object of the parts.
func (u *upload) complete(ctx context.Context) error {
	if err := u.wait(); err != nil {
		return err
	}
	return u.commit(ctx, func(ctx context.Context) error {
		_, err := u.b.s3.CompleteMultipartUpload(ctx, u.b.config.Bucket, u.name, u.id, u.parts, minio.PutObjectOptions{})
		return err
	})
}
