package core

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// File is something that a user, or an agent for a user, has put down. Its bytes
// never change.
type File struct {
	ID   string
	Name string
	// Size is in bytes.
	Size int64
	// ContentType is what the bytes look like, a MIME type: nobody's claim.
	ContentType string
	// SHA256 is that of the bytes, in lower-case hex.
	SHA256 string
	// Metadata is a JSON object of the user's.
	Metadata json.RawMessage
	// Version counts the changes of name and metadata, from 1.
	Version   int64
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
	// Blob is where the bytes are.
	Blob Blob
}

// Ref is the file as a message names it.
func (f *File) Ref() *sdk.File {
	return &sdk.File{ID: f.ID, Name: f.Name, MediaType: f.ContentType, Size: f.Size}
}

// Blob is a place for bytes: a key in the files plugin with the label Backend.
// A key is used once: bytes that are moved or written anew get another.
type Blob struct {
	Backend, Key string
}

// PendingBlob is a blob that no file names: not yet, or not any more. The store knows
// each, so that nothing is left behind by a crash or a refused delete.
type PendingBlob struct {
	Blob
	// Attempts counts the deletes that were tried.
	Attempts int
}

// FileFilter picks files.
type FileFilter struct {
	// Name is part of the name, without regard to case.
	Name string
	// ContentType is a MIME type without parameters, or one like image/*.
	ContentType string
	Page
}

// FileStore keeps what is known of files and of their blobs; the bytes are with a
// backend. A viewer sees and may change the own files, an admin all.
type FileStore interface {
	// ReserveBlob makes a pending blob of a blob that is about to be written. From
	// sweepAt on it may be claimed, unless a file has taken it.
	ReserveBlob(ctx context.Context, b Blob, sweepAt time.Time) error
	// RenewBlob sets a later sweepAt. It fails with Conflict when the blob is
	// claimed or no pending blob.
	RenewBlob(ctx context.Context, b Blob, sweepAt time.Time) error
	// CreateFile stores a file that takes its reserved blob. It fails with
	// Conflict when the blob is claimed or no pending blob, or there is a file of that
	// id, and with PayloadTooLarge when the files of f.CreatedBy would then
	// have more than quota bytes; a quota of 0 is none.
	CreateFile(ctx context.Context, f *File, quota int64) error
	// File fails with NotFound.
	File(ctx context.Context, v Actor, id string) (*File, error)
	// Files lists newest first, with the count of all that match. An admin's
	// list, too, is of all users' files.
	Files(ctx context.Context, v Actor, f FileFilter) ([]*File, int, error)
	// UpdateFile stores f's name, metadata and updated_at, and raises Version, if
	// the stored version is still f.Version. It fails with NotFound, or
	// PreconditionFailed when the file has changed meanwhile.
	UpdateFile(ctx context.Context, v Actor, f *File) error
	// DeleteFile removes a file and makes its blob a claimed pending blob, which is due
	// at sweepAt for others than the caller. version, unless 0, must be the
	// stored one. It fails with NotFound or PreconditionFailed.
	DeleteFile(ctx context.Context, v Actor, id string, version int64, sweepAt time.Time) (Blob, error)
	// FileUsage is how many bytes a user's files have.
	FileUsage(ctx context.Context, userID string) (int64, error)

	// FilesInBackend gives files whose bytes are in a backend and whose id is after the
	// given one, by id.
	FilesInBackend(ctx context.Context, backend, after string, limit int) ([]*File, error)
	// BackendUsage counts the files and bytes of a backend.
	BackendUsage(ctx context.Context, backend string) (files int, bytes int64, err error)
	// MoveFile has a file take the reserved blob to instead of from, which
	// becomes a claimed pending blob that is due at sweepAt. It fails with NotFound when
	// the file is gone or not at from any more, and with Conflict when to is
	// claimed or no pending blob.
	MoveFile(ctx context.Context, id string, from, to Blob, sweepAt time.Time) error

	// ClaimPendingBlobs gives pending blobs that are due at now, at most limit, counts an
	// attempt for each, and makes them due again at until only. No file can take
	// a claimed pending blob.
	ClaimPendingBlobs(ctx context.Context, now, until time.Time, limit int) ([]PendingBlob, error)
	// PostponePendingBlob makes a claimed pending blob due at sweepAt, and notes why it is still there.
	PostponePendingBlob(ctx context.Context, b Blob, sweepAt time.Time, reason string) error
	// DeletePendingBlob forgets a blob whose bytes are deleted. One that is not there is
	// no error.
	DeletePendingBlob(ctx context.Context, b Blob) error
}

// Upload is a file on its way in.
type Upload struct {
	// ID is empty for a new one. With an ID that is there already the file of
	// that id is the result, if it is the viewer's.
	ID   string
	Name string
	// Body gives the bytes. When it fails, nothing is kept and its error is the
	// upload's.
	Body io.Reader
	// Metadata is read when Body has ended, and may be set until then.
	Metadata json.RawMessage
}

// MoveProgress is how far a move of files has come.
type MoveProgress struct {
	// Files and Bytes are those that were moved, TotalFiles and TotalBytes those
	// that were there when the move began.
	Files      int
	Bytes      int64
	TotalFiles int
	TotalBytes int64
	// Failed counts files that stay where they are.
	Failed int
	// FileID and Error are of a file that failed just now; empty otherwise.
	FileID string
	Error  error
}

// Files carries bytes between callers and backends. The engine room of files
// implements it for the API and for runs.
type Files interface {
	// Upload keeps a new file of the viewer's. When it returns, the bytes are
	// safe. It fails with PayloadTooLarge (a file's or the user's limit),
	// RateLimited (too many at once), InsufficientStorage or Unavailable, and
	// then nothing is kept.
	Upload(ctx context.Context, v Actor, u *Upload) (*File, error)
	// Open reads a file's bytes. What is asked of a backend are ranges: to seek
	// costs nothing until the next Read. Reads fail with Unavailable.
	Open(ctx context.Context, f *File) io.ReadSeekCloser
	// Link gives a URL that downloads the file without the server for a while, as
	// an attachment of its name; empty when its backend has none.
	Link(ctx context.Context, f *File) (string, error)
	// Delete removes a file for good: if its backend refuses just now, its bytes
	// go later. It fails as FileStore.DeleteFile does.
	Delete(ctx context.Context, v Actor, id string, version int64) error
	// Move moves the files of one backend to another, each verified by its
	// checksum, until none is left that can be moved, and reports as it goes. What
	// was moved stays so when it ends early; another Move goes on. It fails with
	// Invalid for a backend that is not there, and with Conflict while another
	// move is under way.
	Move(ctx context.Context, from, to string, report func(MoveProgress)) error
}
