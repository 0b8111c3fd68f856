package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// healthTime is how long the bucket may take to answer, in a check that has two
// seconds.
const healthTime = 1500 * time.Millisecond

// backend implements files.Backend and files.Presigner. It is usable once
// Configure has returned nil.
type backend struct {
	config config
	// s3 does the work; public makes the URLs for clients.
	s3, public *minio.Core
	// part is config.PartSize in bytes.
	part int
	// slots has an element for each upload that is under way.
	slots chan struct{}
	puts  puts
	// pause is that before a second try.
	pause time.Duration
	// made says that the bucket was there, once.
	made atomic.Bool
}

func newBackend() *backend { return &backend{pause: pause} }

func (b *backend) name(key string) string { return b.config.Prefix + objectName(key) }

// Health asks for the bucket.
func (b *backend) Health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	there, err := b.s3.BucketExists(ctx, b.config.Bucket)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("S3 does not answer")
	case err != nil:
		return errors.New(sdk.AsError(b.failure(ctx, "health", err)).Message)
	case !there && !b.config.CreateBucket:
		return errors.New(b.noBucket().Message)
	}
	return nil
}

// makeBucket sees to it that there is a bucket, if the config says so.
func (b *backend) makeBucket(ctx context.Context) error {
	if !b.config.CreateBucket || b.made.Load() {
		return nil
	}
	there, err := b.s3.BucketExists(ctx, b.config.Bucket)
	if err == nil && !there {
		err = b.s3.MakeBucket(ctx, b.config.Bucket, minio.MakeBucketOptions{Region: b.config.Region})
	}
	// Another server's plugin may have been quicker.
	if err != nil && !hasCode(err, minio.BucketAlreadyOwnedByYou) {
		return err
	}
	b.made.Store(true)
	return nil
}

// Stat implements files.Backend.
func (b *backend) Stat(ctx context.Context, key string) (*files.Object, error) {
	var info minio.ObjectInfo
	err := b.try(ctx, "stat", func() (err error) {
		info, err = b.s3.StatObject(ctx, b.config.Bucket, b.name(key), minio.StatObjectOptions{})
		if status(err) == http.StatusNotFound {
			// The answer to HEAD does not say what is missing.
			if there, bucketErr := b.s3.BucketExists(ctx, b.config.Bucket); bucketErr == nil && !there {
				return b.noBucket()
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &files.Object{Key: key, Size: info.Size, Modified: info.LastModified.UTC()}, nil
}

// Delete implements files.Backend. Uploads go first and then the object, so that
// a Put of the key has either made its object before, and that goes, or can't
// make one any more.
func (b *backend) Delete(ctx context.Context, key string) error {
	name := b.name(key)
	if err := b.puts.stop(ctx, name); err != nil {
		return err
	}
	if err := b.abortUploads(ctx, name); err != nil {
		return err
	}
	return b.try(ctx, "delete", func() error {
		err := b.s3.RemoveObject(ctx, b.config.Bucket, name, minio.RemoveObjectOptions{})
		if hasCode(err, minio.NoSuchKey) {
			return nil
		}
		return err
	})
}

// abortUploads removes what Puts that were cut have left of an object.
func (b *backend) abortUploads(ctx context.Context, name string) error {
	var keyMarker, idMarker string
	for {
		var page minio.ListMultipartUploadsResult
		err := b.try(ctx, "list uploads", func() (err error) {
			page, err = b.s3.ListMultipartUploads(ctx, b.config.Bucket, name, keyMarker, idMarker, "", 1000)
			return err
		})
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			if u.Key != name {
				continue
			}
			err := b.try(ctx, "abort an upload", func() error { return b.abortUpload(ctx, name, u.UploadID) })
			if err != nil {
				return err
			}
		}
		// No other name begins with this one.
		if !page.IsTruncated || page.NextKeyMarker != name {
			return nil
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// abortUpload succeeds for an upload that is not there.
func (b *backend) abortUpload(ctx context.Context, name, id string) error {
	err := b.s3.AbortMultipartUpload(ctx, b.config.Bucket, name, id)
	if hasCode(err, minio.NoSuchUpload) {
		return nil
	}
	return err
}

// Presign implements files.Presigner.
func (b *backend) Presign(ctx context.Context, r files.PresignRequest) (string, error) {
	if !b.config.PresignedDownloads {
		return "", nil
	}
	expires := b.config.PresignExpiry
	if r.Expires >= time.Second {
		expires = min(expires, r.Expires)
	}
	query := url.Values{}
	if r.ContentDisposition != "" {
		query.Set("response-content-disposition", r.ContentDisposition)
	}
	if r.ContentType != "" {
		query.Set("response-content-type", r.ContentType)
	}
	u, err := b.public.PresignedGetObject(ctx, b.config.Bucket, b.name(r.Key), expires, query)
	if err != nil {
		return "", b.failure(ctx, "presign", err)
	}
	return u.String(), nil
}
