package core

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// FileToolPrefix begins the names of the tools with which agents list, read and write files. No MCP server has the
// slug "files".
const FileToolPrefix = "files__"

// IsFileTool reports whether name is that of a tool for files.
func IsFileTool(name string) bool { return strings.HasPrefix(name, FileToolPrefix) }

// File is a file that a user uploaded, or that an agent created for a user. Its content never
// changes.
type File struct {
	ID   string
	Name string
	// Size is in bytes.
	Size int64
	// ContentType is the MIME type detected from the content. A type sent by the client is ignored.
	ContentType string
	// SHA256 is the hash of the content in lower-case hexadecimal.
	SHA256 string
	// Metadata is a JSON object that the user defines.
	Metadata json.RawMessage
	// Version is 1 for a new file and increases by one with each change of its name or metadata.
	Version   int64
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
	// Blob identifies the stored content.
	Blob Blob
}

// Ref returns the reference to the file that messages contain.
func (f *File) Ref() *sdk.File {
	return &sdk.File{ID: f.ID, Name: f.Name, MediaType: f.ContentType, Size: f.Size}
}

// Blob identifies stored content: a key in the file backend with the label Backend. A key is used
// only once. Content that is moved or rewritten gets a new key.
type Blob struct {
	Backend, Key string
}

// PendingBlob is a blob that no file refers to, because its file is not created yet or is already
// deleted. The store keeps a record of each, so that a crash or a failed delete leaves nothing
// behind in the backend.
type PendingBlob struct {
	Blob
	// Attempts is the number of attempts to delete the blob.
	Attempts int
}

// FileFilter selects files. Empty fields match all files.
type FileFilter struct {
	// Name is a part of the file name. Case is ignored.
	Name string
	// ContentType is a MIME type without parameters, or a pattern such as image/*.
	ContentType string
	Page
}

// FileStore stores the metadata of files and of their blobs. The content is stored by a file
// backend. Actors see and can change their own files, admins all files.
type FileStore interface {
	// ReserveBlob adds a pending blob for content that is about to be written. It can be claimed
	// from sweepAt on, unless a file refers to it by then.
	ReserveBlob(ctx context.Context, b Blob, sweepAt time.Time) error
	// RenewBlob moves the blob's sweepAt to a later time. It fails with Conflict if the blob is
	// claimed or not pending.
	RenewBlob(ctx context.Context, b Blob, sweepAt time.Time) error
	// CreateFile stores a file that refers to its reserved blob. It fails with Conflict if the blob
	// is claimed or not pending or if a file has the same id. It fails with PayloadTooLarge if the
	// files of f.CreatedBy would exceed quota bytes, or the rows ObjectLimits.DatabaseBytes. A quota of 0 means
	// unlimited.
	CreateFile(ctx context.Context, audit *AuditRecord, f *File, quota int64) error
	// File returns the file with the given id. It fails with NotFound.
	File(ctx context.Context, actor Actor, id string) (*File, error)
	// Files returns a page of the matching files, newest first, and the number of all matches. The
	// list of an admin includes the files of all users.
	Files(ctx context.Context, actor Actor, f FileFilter) ([]*File, int, error)
	// UpdateFile stores the name, metadata and updated_at of f, and increases f.Version. It fails
	// with NotFound, with PreconditionFailed if the stored version differs from f.Version, or with
	// PayloadTooLarge if larger metadata would exceed ObjectLimits.DatabaseBytes.
	UpdateFile(ctx context.Context, audit *AuditRecord, actor Actor, f *File) error
	// DeleteFile deletes a file and returns its blob, which becomes pending and claimed by the
	// caller. Others can claim it from sweepAt on. A version other than 0 must equal the stored
	// version. DeleteFile fails with NotFound or PreconditionFailed.
	DeleteFile(
		ctx context.Context, audit *AuditRecord, actor Actor, id string, version int64, sweepAt time.Time,
	) (Blob, error)
	// FileUsage returns the total size of a user's files in bytes.
	FileUsage(ctx context.Context, userID string) (int64, error)

	// FilesInBackend returns up to limit files that are stored in a backend and whose ids are
	// greater than after, ordered by id.
	FilesInBackend(ctx context.Context, backend, after string, limit int) ([]*File, error)
	// BackendUsage returns the number and the total size of the files in a backend.
	BackendUsage(ctx context.Context, backend string) (files int, bytes int64, err error)
	// MoveFile changes the blob of a file from one to another, which must be reserved. The old blob
	// becomes pending and claimed by the caller; others can claim it from sweepAt on. MoveFile fails
	// with NotFound if the file does not exist or its blob is not from, and with Conflict if the new
	// blob is claimed or not pending.
	MoveFile(ctx context.Context, audit *AuditRecord, id string, from, to Blob, sweepAt time.Time) error

	// ClaimPendingBlobs returns up to limit pending blobs whose sweepAt is not after now. It counts
	// an attempt for each and sets its sweepAt to until. No file can refer to a claimed blob.
	ClaimPendingBlobs(ctx context.Context, now, until time.Time, limit int) ([]PendingBlob, error)
	// PostponePendingBlob sets the sweepAt of a claimed blob, and stores why it was not deleted.
	PostponePendingBlob(ctx context.Context, b Blob, sweepAt time.Time, reason string) error
	// DeletePendingBlob removes the record of a blob whose content is deleted. It succeeds if there
	// is no record.
	DeletePendingBlob(ctx context.Context, b Blob) error
}

// Upload is a file that is being uploaded.
type Upload struct {
	// ID is empty for a new file. If a file with this ID exists and belongs to the actor, Upload
	// returns that file.
	ID   string
	Name string
	// Body is the content. If reading it fails, the upload fails with the same error and stores
	// nothing.
	Body io.Reader
	// Metadata is read after Body returned io.EOF. It can be set until then.
	Metadata json.RawMessage
}

// MoveProgress is the progress of a move of files between backends.
type MoveProgress struct {
	// Files and Bytes count the files moved so far. TotalFiles and TotalBytes count what the backend
	// contained when the move began.
	Files      int
	Bytes      int64
	TotalFiles int
	TotalBytes int64
	// Failed is the number of files that could not be moved.
	Failed int
	// FileID and Error describe a file that has just failed. They are empty otherwise.
	FileID string
	Error  error
}

// Files transfers file content between callers and file backends. Package files implements it for
// the API and for runs.
type Files interface {
	// Upload stores a new file for the actor. The content is durable when it returns. On failure it
	// stores nothing. It fails with PayloadTooLarge if the file or the user's total exceeds the
	// limit, with RateLimited if too many uploads are active, with InsufficientStorage, or with
	// Unavailable.
	Upload(ctx context.Context, audit *AuditRecord, actor Actor, u *Upload) (*File, error)
	// Open returns a reader of the file's content. It requests ranges from the backend, so that a
	// Seek does nothing until the next Read. Reads fail with Unavailable.
	Open(ctx context.Context, f *File) io.ReadSeekCloser
	// Link returns a temporary URL that downloads the file directly from its backend, as an
	// attachment with the file's name. It returns an empty string if the backend has no such URLs.
	Link(ctx context.Context, f *File) (string, error)
	// Delete deletes a file permanently. If the backend cannot delete the content now, it is deleted
	// later. Delete fails as FileStore.DeleteFile does.
	Delete(ctx context.Context, audit *AuditRecord, actor Actor, id string, version int64) error
	// Move moves the files of one backend to another and verifies the checksum of each. It returns
	// when no file is left that can be moved, and calls report with its progress. After an
	// interruption the moved files stay moved, and another Move continues. It fails with Invalid for
	// an unknown backend, and with Conflict while another move is running.
	Move(ctx context.Context, audit *AuditRecord, from, to string, report func(MoveProgress)) error
}
