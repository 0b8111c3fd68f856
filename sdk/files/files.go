// Package files is what the author of a file backend imports: implement Backend
// and call Serve from main. The host holds the same interface, made by NewClient
// from a plugin's connection.
//
// A backend keeps bytes under keys that the host chooses; what users call their
// files, it never sees. sdk/plugintest tests one.
package files

import (
	"context"
	"io"
	"iter"
	"time"
)

// Backend keeps bytes under keys. Its methods are called at the same time.
//
// A key is 1 to 255 bytes of UTF-8 without NUL, with no more than 80 bytes
// between its slashes. Errors should be *sdk.Error: CodeNotFound for a key that
// is not there, CodeNoSpace when the medium is full, CodeUnavailable when it is
// down, CodeInvalidRequest for a key that is none. Others reach the host as
// CodeInternal.
type Backend interface {
	// Stat fails with CodeNotFound.
	Stat(ctx context.Context, key string) (*Object, error)
	// Get reads length bytes from offset, or up to the end with a length of 0; an
	// offset at or past the end reads nothing. It fails with CodeNotFound.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Put keeps what r gives. When it returns without an error, the key holds the
	// new bytes, whole and safe on the medium; before, and when r or Put fails, it
	// holds what it held. An error of r is returned, perhaps wrapped.
	Put(ctx context.Context, key string, r io.Reader, o PutOptions) (*Stored, error)
	// Delete succeeds for a key that is not there. What a Put of that key that was
	// cut has left behind goes too.
	Delete(ctx context.Context, key string) error
	// List gives the objects whose keys begin with prefix and come after the
	// given one, in order of the keys' bytes. An error is the last thing it gives.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
}

// Presigner is a Backend whose objects can be downloaded without the server.
type Presigner interface {
	// Presign gives a URL that serves the object for a while; an empty one has
	// the host read the bytes itself.
	Presign(ctx context.Context, r PresignRequest) (string, error)
}

// Object is what a key holds.
type Object struct {
	Key string
	// Size is in bytes.
	Size int64
	// Modified is when it was put, in UTC.
	Modified time.Time
}

// PutOptions are what is known of bytes before they come.
type PutOptions struct {
	// Size is how many will come, and neither more nor less; -1 when unknown.
	Size int64
	// ContentType is a MIME type.
	ContentType string
}

// Stored is what a Put has kept.
type Stored struct {
	// Size is in bytes.
	Size   int64
	SHA256 [32]byte
}

// PresignRequest asks for a download's URL.
type PresignRequest struct {
	Key string
	// Expires is how long the URL shall be good for.
	Expires time.Duration
	// ContentDisposition and ContentType are those of the download.
	ContentDisposition, ContentType string
}
