package main

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's Content-MD5 is against faults, not enemies
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
)

// The words for config.Checksum.
const (
	checksumCRC32C = "crc32c"
	checksumMD5    = "md5"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

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
	flight chan error
}

// run puts what r gives; size is -1 when unknown.
func (u *upload) run(ctx context.Context, r io.Reader, size int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		// No part may arrive after the abort.
		cancel()
		_ = u.wait()
	}()
	cut := &cutter{r: r, size: u.partSize(size), buffers: &u.b.parts, seen: u.seen, first: true}
	for {
		part, last, err := cut.next()
		if err != nil {
			return err
		}
		if last && u.id == "" {
			defer u.b.parts.put(part)
			return u.single(ctx, part)
		}
		if err := u.send(ctx, part); err != nil {
			return u.failed(err)
		}
		if last {
			return u.failed(u.complete(ctx))
		}
	}
}

// partSize is larger than the config's for a file that would have too many parts.
func (u *upload) partSize(size int64) int {
	const step = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(u.b.parts.size, int((least+step-1)/step*step))
}

// seen counts what is read, and finds out early that the part before has failed.
func (u *upload) seen(p []byte) error {
	u.sum.Write(p)
	u.size += int64(len(p))
	select {
	case err := <-u.flight:
		u.flight = nil
		return u.failed(err)
	default:
		return nil
	}
}

// single puts a small file by one request, which S3 checks by the SHA-256.
func (u *upload) single(ctx context.Context, data []byte) error {
	sum := hex.EncodeToString(u.sum.Sum(nil))
	return u.commit(ctx, func(ctx context.Context) error {
		_, err := u.b.s3.PutObject(ctx, u.b.config.Bucket, u.name, bytes.NewReader(data), int64(len(data)), "", sum, u.options)
		return err
	})
}

// send begins to send a part, once the one before has arrived.
func (u *upload) send(ctx context.Context, part []byte) error {
	err := u.start(ctx)
	if err == nil {
		err = u.wait()
	}
	if err == nil && len(u.parts) == maxParts {
		err = &sdk.Error{Code: sdk.CodeNoSpace, Message: fmt.Sprintf("the file has more than %d parts; set a larger part_size in plugins.hcl", maxParts)}
	}
	if err != nil {
		u.b.parts.put(part)
		return err
	}
	u.parts = append(u.parts, minio.CompletePart{PartNumber: len(u.parts) + 1})
	sent, flight := &u.parts[len(u.parts)-1], make(chan error, 1)
	u.flight = flight
	go func() {
		defer u.b.parts.put(part)
		flight <- u.sendPart(ctx, part, sent)
	}()
	return nil
}

// wait gives the outcome of the part on its way.
func (u *upload) wait() error {
	if u.flight == nil {
		return nil
	}
	err := <-u.flight
	u.flight = nil
	return err
}

func (u *upload) start(ctx context.Context) error {
	if u.id != "" {
		return nil
	}
	options := u.options
	if u.b.config.Checksum == checksumCRC32C {
		options.UserMetadata = map[string]string{markHeader: u.mark, "X-Amz-Checksum-Algorithm": minio.ChecksumCRC32C.String()}
	}
	return u.b.try(ctx, "begin an upload", func() (err error) {
		u.id, err = u.b.s3.NewMultipartUpload(ctx, u.b.config.Bucket, u.name, options)
		return err
	})
}

func (u *upload) sendPart(ctx context.Context, data []byte, part *minio.CompletePart) error {
	o := minio.PutObjectPartOptions{DisableContentSha256: true}
	switch u.b.config.Checksum {
	case checksumMD5:
		sum := md5.Sum(data) //nolint:gosec // see the import
		o.Md5Base64 = base64.StdEncoding.EncodeToString(sum[:])
	default:
		crc := crc32.Checksum(data, castagnoli)
		sum := []byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)}
		o.CustomHeader = http.Header{minio.ChecksumCRC32C.Key(): {base64.StdEncoding.EncodeToString(sum)}}
	}
	if !u.b.secure {
		// Without TLS the signature covers the bytes, too.
		sum := sha256.Sum256(data)
		o.Sha256Hex = hex.EncodeToString(sum[:])
	}
	return u.b.try(ctx, "send a part", func() error {
		sent, err := u.b.s3.PutObjectPart(ctx, u.b.config.Bucket, u.name, u.id, part.PartNumber, bytes.NewReader(data), int64(len(data)), o)
		part.ETag, part.ChecksumCRC32C = sent.ETag, sent.ChecksumCRC32C
		return err
	})
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
