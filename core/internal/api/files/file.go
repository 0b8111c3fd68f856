// Package files serves files: their descriptions, uploads, downloads, and moves between file backends.
package files

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

const (
	listPath = "/v1/files/"
	filePath = "/v1/files/{file_id}"
)

// Store keeps the descriptions of files.
type Store interface {
	// File fails with NotFound if the actor may not see the file.
	File(ctx context.Context, v core.Actor, id string) (*core.File, error)
	// Files returns a page of matching files, newest first, and their total number.
	Files(ctx context.Context, v core.Actor, f core.FileFilter) ([]*core.File, int, error)
	// UpdateFile fails with NotFound, or with PreconditionFailed if the stored version is not f.Version.
	UpdateFile(ctx context.Context, audit *core.AuditRecord, v core.Actor, f *core.File) error
}

// Uploader stores and deletes files.
type Uploader interface {
	// Upload stores a new file. It fails with PayloadTooLarge, RateLimited, InsufficientStorage or
	// Unavailable, and then stores nothing.
	Upload(ctx context.Context, audit *core.AuditRecord, v core.Actor, u *core.Upload) (*core.File, error)
	// Delete fails with NotFound or PreconditionFailed. A version of 0 accepts every version.
	Delete(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, version int64) error
}

// Downloader reads the content of files.
type Downloader interface {
	// Open returns the content. Reads fail with Unavailable.
	Open(ctx context.Context, f *core.File) io.ReadSeekCloser
	// Link returns a URL from which the file can be downloaded for a while, or "" if the backend has
	// none.
	Link(ctx context.Context, f *core.File) (string, error)
}

// Mover moves files between backends.
type Mover interface {
	// Move moves all files of one backend to another and calls report for each. It fails with Invalid
	// for an unknown backend, or with Conflict during another move.
	Move(ctx context.Context, audit *core.AuditRecord, from, to string, report func(core.MoveProgress)) error
}

// Options are the dependencies of the group.
type Options struct {
	Store      Store
	Uploader   Uploader
	Downloader Downloader
	Mover      Mover
	// MaxUpload is the maximum size of a file in bytes. The default is 2 GiB. It serves to reject an
	// upload by its Content-Length; Uploader enforces the limit.
	MaxUpload int64
	// IdleTimeout is the maximum time for which a client may send nothing of an upload, or read nothing
	// of a download. The default is one minute.
	IdleTimeout time.Duration
}

type handlers struct {
	Options
	api *api.API
}

// Register adds the operations of the group.
func Register(a *api.API, o Options) {
	o.MaxUpload = cmp.Or(o.MaxUpload, 2<<30)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, time.Minute)
	h := &handlers{Options: o, api: a}
	api.Register(a, api.Operation{
		ID: "list-files", Method: http.MethodGet, Path: listPath, Tag: "Files", Summary: "List files", Access: api.SignedIn,
		Description: "Your files, newest first. An admin sees the files of all users.",
		Response:    fileList{Files: []file{exampleFile}, Paged: api.Paged{Total: 1, Limit: 100}},
		Errors:      []core.Code{core.CodeValidation},
		Large:       true,
	}, h.list)
	api.Register(a, api.Operation{
		ID: "get-file", Method: http.MethodGet, Path: filePath, Tag: "Files", Summary: "Get a file", Access: api.SignedIn,
		Description: "Returns the description of a file. Its content is at /v1/files/{file_id}/download.",
		Response:    exampleFile,
	}, h.get)
	changes := []core.Code{core.CodePreconditionFailed}
	api.Register(a, api.Operation{
		ID: "change-file", Method: http.MethodPatch, Path: filePath, Tag: "Files",
		Summary: "Change a file's name or metadata", Access: api.Writer,
		Description: "Applies an RFC 7396 merge patch: omitted fields keep their value, null removes a field.",
		Request:     json.RawMessage(`{"name":"report-2025.pdf","metadata":{"description":"The final one"}}`),
		MergePatch:  true,
		Response:    exampleFile, Errors: changes,
	}, h.change)
	api.Register(a, api.Operation{
		ID: "delete-file", Method: http.MethodDelete, Path: filePath,
		Tag: "Files", Summary: "Delete a file", Access: api.Writer,
		Description: "Deletes the content. Messages with the file keep its name.",
		Status:      http.StatusNoContent, Errors: changes,
	}, h.delete)
	registerUpload(h)
	registerDownload(h)
	registerMove(h)
}

func (h *handlers) list(ctx context.Context, in *filesInput) (*filesOutput, error) {
	found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.File, int, error) {
		return h.Store.Files(ctx, api.Actor(ctx), core.FileFilter{
			Name: in.Name, ContentType: strings.ToLower(in.ContentType), Page: p,
		})
	}, func(f *core.File) core.PageKey { return api.Newest(f.CreatedAt, f.ID) })
	if err != nil {
		return nil, err
	}
	out := &filesOutput{Body: fileList{Files: make([]file, 0, len(found)), Paged: paged}}
	for _, f := range found {
		out.Body.Files = append(out.Body.Files, newFileBody(f))
	}
	return out, nil
}

func (h *handlers) get(ctx context.Context, in *fileInput) (*fileOutput, error) {
	f, err := h.Store.File(ctx, api.Actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return newFileOutput(f), nil
}

// change applies a merge patch to a file that has one of the versions of If-Match. It tries again if
// another update interferes.
func (h *handlers) change(ctx context.Context, in *filePatchInput) (*fileOutput, error) {
	v := api.Actor(ctx)
	f, err := core.Update(
		func() (*core.File, error) { return h.Store.File(ctx, v, in.ID) },
		func(f *core.File) error {
			if err := api.CheckIfMatch(in.IfMatch, "file", f.Version); err != nil {
				return err
			}
			f.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
			return applyPatch(f, in.Body)
		},
		func(f *core.File) error { return h.Store.UpdateFile(ctx, api.Audit(ctx), v, f) },
	)
	if err != nil {
		return nil, err
	}
	return newFileOutput(f), nil
}

func (h *handlers) delete(ctx context.Context, in *FileMatch) (*struct{}, error) {
	v := api.Actor(ctx)
	var version int64
	if in.IfMatch != "" {
		f, err := h.Store.File(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := api.CheckIfMatch(in.IfMatch, "file", f.Version); err != nil {
			return nil, err
		}
		version = f.Version
	}
	return nil, h.Uploader.Delete(ctx, api.Audit(ctx), v, in.ID, version)
}
