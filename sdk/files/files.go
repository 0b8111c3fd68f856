// Package files is for plugins of the kind files, which are file backends. Implement Backend and call
// Serve from main. The host uses the same interface: NewClient returns a Backend for the connection to
// a plugin.
//
// A backend stores objects under keys that the host chooses. It does not receive the file names of
// users. Package plugintest tests backends.
package files

import (
	"context"
	"io"
	"iter"
	"time"
)

// Backend stores objects, each of which is a sequence of bytes, under keys. Its methods must be safe
// for concurrent use.
//
// A key consists of 1 to 255 bytes of UTF-8 without NUL, with at most 80 bytes between two slashes.
//
// Errors should be *sdk.Error with one of these codes: CodeNotFound if the key does not exist,
// CodeNoSpace if the storage is full, CodeUnavailable if the storage is not available, or
// CodeInvalidRequest if the key is not valid. The host receives any other error as CodeInternal.
type Backend interface {
	// Stat returns the properties of an object. It returns an error with CodeNotFound if the key does
	// not exist.
	Stat(ctx context.Context, key string) (*Object, error)
	// Get returns a reader of length bytes of the object, starting at offset. A length of 0 means up to
	// the end. If offset is at or after the end, the reader is empty. Get returns an error with
	// CodeNotFound if the key does not exist.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Put stores the bytes of r and replaces the previous object of the key. When Put returns without an
	// error, the new object is complete and durable. Until then, and if r or Put fails, the key keeps
	// its previous object, if any. Put returns an error of r, possibly wrapped.
	Put(ctx context.Context, key string, r io.Reader, o PutOptions) (*Stored, error)
	// Delete removes an object, and whatever an interrupted Put of the same key left behind. It succeeds
	// if the key does not exist.
	Delete(ctx context.Context, key string) error
	// List returns the objects whose keys start with prefix and are greater than after, in the byte order
	// of the keys. If it yields an error, the iteration ends.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
}

// Presigner is an optional interface of a Backend whose objects clients can download directly.
type Presigner interface {
	// Presign returns a URL from which a client can download the object. If the URL is empty, the host
	// calls Get instead.
	Presign(ctx context.Context, r PresignRequest) (string, error)
}

// Object contains the properties of an object.
type Object struct {
	Key string
	// Size is the size in bytes.
	Size int64
	// Modified is the time of the last Put, in UTC.
	Modified time.Time
}

// PutOptions contains the properties of an object that are known before its content.
type PutOptions struct {
	// Size is the exact size in bytes, or -1 if it is unknown.
	Size int64
	// ContentType is a MIME type.
	ContentType string
}

// Stored is the result of a Put.
type Stored struct {
	// Size is the number of bytes that were stored.
	Size int64
	// SHA256 is the digest of these bytes.
	SHA256 [32]byte
}

// PresignRequest is a request for the URL of a download.
type PresignRequest struct {
	Key string
	// Expires is the time for which the URL must be valid.
	Expires time.Duration
	// ContentDisposition and ContentType are headers of the download.
	ContentDisposition, ContentType string
}
