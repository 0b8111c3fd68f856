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

// healthTimeout is the maximum time for the bucket to answer. The host allows two seconds for
// the whole check.
const healthTimeout = 1500 * time.Millisecond

// backend implements files.Backend and files.Presigner. It can be used after Configure has
// returned nil.
type backend struct {
	config config
	// s3 performs all requests. public only signs URLs for clients.
	s3, public *minio.Core
	// partSizeBytes is config.PartSize in bytes.
	partSizeBytes int
	// slots has one element for each upload in progress.
	slots      chan struct{}
	activePuts activePuts
	// retryDelay is the delay before the first retry.
	retryDelay time.Duration
	// bucketChecked is set once ensureBucket has succeeded.
	bucketChecked atomic.Bool
}

func newBackend() *backend { return &backend{retryDelay: retryDelay} }

// name returns the name of a key's object in the bucket.
func (b *backend) name(key string) string { return b.config.Prefix + objectName(key) }

// Health reports whether the bucket exists.
func (b *backend) Health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	exists, err := b.s3.BucketExists(ctx, b.config.Bucket)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("S3 did not respond in time")
	case err != nil:
		return errors.New(sdk.AsError(b.publicError(ctx, "health", err)).Message)
	case !exists && !b.config.CreateBucket:
		return errors.New(b.noBucket().Message)
	}
	return nil
}

// ensureBucket creates the bucket if it does not exist and create_bucket is set.
func (b *backend) ensureBucket(ctx context.Context) error {
	if !b.config.CreateBucket || b.bucketChecked.Load() {
		return nil
	}
	exists, err := b.s3.BucketExists(ctx, b.config.Bucket)
	if err == nil && !exists {
		err = b.s3.MakeBucket(ctx, b.config.Bucket, minio.MakeBucketOptions{Region: b.config.Region})
	}
	// Another server's plugin may have created it at the same time.
	if err != nil && !hasCode(err, minio.BucketAlreadyOwnedByYou) {
		return err
	}
	b.bucketChecked.Store(true)
	return nil
}

// Stat implements files.Backend. It does not create the bucket, because the host also uses it to check the config.
func (b *backend) Stat(ctx context.Context, key string) (*files.Object, error) {
	var info minio.ObjectInfo
	err := b.retryRequest(ctx, "stat", func() (err error) {
		info, err = b.s3.StatObject(ctx, b.config.Bucket, b.name(key), minio.StatObjectOptions{})
		if status(err) == http.StatusNotFound && !b.config.CreateBucket {
			// The response to HEAD has no body, so it does not show whether the object or the bucket is missing.
			if exists, bucketErr := b.s3.BucketExists(ctx, b.config.Bucket); bucketErr == nil && !exists {
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

// Delete implements files.Backend. It ends the uploads of the key before it deletes the
// object. A concurrent Put has therefore either created its object already, and Delete
// removes it, or can no longer create one.
func (b *backend) Delete(ctx context.Context, key string) error {
	name := b.name(key)
	if err := b.activePuts.stop(ctx, name); err != nil {
		return err
	}
	if err := b.abortUploads(ctx, name); err != nil {
		return err
	}
	return b.retry(ctx, "delete", func() error {
		err := b.s3.RemoveObject(ctx, b.config.Bucket, name, minio.RemoveObjectOptions{})
		if hasCode(err, minio.NoSuchKey) {
			return nil
		}
		return err
	})
}

// abortUploads removes the uploads that interrupted Puts have left for an object.
func (b *backend) abortUploads(ctx context.Context, name string) error {
	var keyMarker, idMarker string
	for {
		var page minio.ListMultipartUploadsResult
		err := b.retry(ctx, "list uploads", func() (err error) {
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
			err := b.retry(ctx, "abort an upload", func() error { return b.abortUpload(ctx, name, u.UploadID) })
			if err != nil {
				return err
			}
		}
		// No other object's name starts with this one, so the next page has other objects.
		if !page.IsTruncated || page.NextKeyMarker != name {
			return nil
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// abortUpload aborts an upload. It succeeds if the upload does not exist.
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
		return "", b.publicError(ctx, "presign", err)
	}
	return u.String(), nil
}
