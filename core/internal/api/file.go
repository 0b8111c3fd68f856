package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

type file struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Size        int64  `json:"size" doc:"In bytes"`
	ContentType string `json:"content_type" doc:"What the bytes look like; what the upload says of them does not count"`
	SHA256      string `json:"sha256" doc:"Of the bytes, in hex"`
	Metadata    object `json:"metadata" doc:"Your own words on the file"`
	CreatedAt   stamp  `json:"created_at"`
	UpdatedAt   stamp  `json:"updated_at" doc:"When the name or the metadata last changed; the bytes never do"`
	CreatedBy   string `json:"created_by"`
}

type fileList struct {
	Files []file `json:"files"`
	Paged
}

// fileChange documents a merge patch.
type fileChange struct {
	Name     *string `json:"name,omitempty" doc:"At most 255 characters, without control characters; what stands before a slash or backslash is left out"`
	Metadata *object `json:"metadata,omitempty" doc:"Merged with the metadata: null takes a field away. At most 64 KiB in all"`
}

// filePatch is an RFC 7396 merge patch.
type filePatch []byte

// UnmarshalJSON implements json.Unmarshaler.
func (p *filePatch) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (filePatch) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[fileChange](), true, "FileChange")
}

type (
	fileInput struct {
		ID string `path:"file_id"`
	}
	// FileMatch names a file, and the version that it must have.
	FileMatch struct {
		ID      string `path:"file_id"`
		IfMatch string `header:"If-Match" doc:"The ETag of the version to change; 412 when it has changed since"`
	}
	filePatchInput struct {
		FileMatch
		Body filePatch
	}
	filesInput struct {
		Page
		Name        string `query:"name" doc:"Filter by a part of the name, in any case"`
		ContentType string `query:"content_type" pattern:"^[^/;\\s]+/[^/;\\s]+$" patternDescription:"Must be a MIME type without parameters, like text/plain or image/*" doc:"Filter by MIME type, like text/plain or image/*"`
	}
	filesOutput struct{ Body fileList }
	fileOutput  struct {
		ETag string `header:"ETag" doc:"The version, for If-Match"`
		Body file
	}
)

var exampleFile = file{
	ID: "file-123", Name: "report.pdf", Size: 48213, ContentType: "application/pdf",
	SHA256:   "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	Metadata: object(`{"description":"Document for processing"}`), CreatedAt: exampleTime, UpdatedAt: exampleTime, CreatedBy: "user-456",
}

func (a *api) registerFiles() {
	register(a, operation{
		id: "list-files", method: http.MethodGet, path: "/v1/files/", tag: "Files", summary: "List files", access: signedIn,
		about:    "Your own, newest first; an admin sees all.",
		response: fileList{Files: []file{exampleFile}, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, a.listFiles)
	register(a, operation{
		id: "get-file", method: http.MethodGet, path: "/v1/files/{file_id}", tag: "Files", summary: "Get a file",
		about: "What is known of it; its bytes are at /v1/files/{file_id}/download.", access: signedIn, response: exampleFile,
	}, func(ctx context.Context, in *fileInput) (*fileOutput, error) {
		f, err := a.fileStore.File(ctx, actor(ctx), in.ID)
		if err != nil {
			return nil, err
		}
		return fileReply(f), nil
	})
	changes := []core.Code{core.CodePreconditionFailed}
	register(a, operation{
		id: "change-file", method: http.MethodPatch, path: "/v1/files/{file_id}", tag: "Files", summary: "Change a file's name or metadata", access: writer,
		about:   "Takes an RFC 7396 merge patch: what is left out stays, null takes away.",
		request: json.RawMessage(`{"name":"report-2025.pdf","metadata":{"description":"The final one"}}`), response: exampleFile, errors: changes,
	}, a.changeFile)
	a.alsoMergePatch("/v1/files/{file_id}")
	register(a, operation{
		id: "delete-file", method: http.MethodDelete, path: "/v1/files/{file_id}", tag: "Files", summary: "Delete a file", access: writer,
		about: "Messages that name it keep its name, and nobody gets its bytes any more.", status: http.StatusNoContent, errors: changes,
	}, a.deleteFile)
}

func (a *api) listFiles(ctx context.Context, in *filesInput) (*filesOutput, error) {
	found, total, err := a.fileStore.Files(ctx, actor(ctx), core.FileFilter{
		Name: in.Name, ContentType: strings.ToLower(in.ContentType), Page: in.core(),
	})
	if err != nil {
		return nil, err
	}
	out := &filesOutput{Body: fileList{Files: make([]file, 0, len(found)), Paged: in.reply(total)}}
	for _, f := range found {
		out.Body.Files = append(out.Body.Files, fileBody(f))
	}
	return out, nil
}

func (a *api) changeFile(ctx context.Context, in *filePatchInput) (*fileOutput, error) {
	v := actor(ctx)
	for try := 1; ; try++ {
		f, err := a.fileStore.File(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := matches(in.IfMatch, "file", f.Version); err != nil {
			return nil, err
		}
		if err := in.Body.applyTo(f); err != nil {
			return nil, err
		}
		f.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
		before := f.Version
		err = a.fileStore.UpdateFile(ctx, v, f)
		if core.CodeOf(err) == core.CodePreconditionFailed && in.IfMatch == "" && try < maxRaces {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Version = before + 1
		return fileReply(f), nil
	}
}

// applyTo changes what the patch names. Huma has checked the types, but null is
// taken as not said.
func (p filePatch) applyTo(f *core.File) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(p, &fields); err != nil {
		return core.Invalid("body", "Must be a JSON merge patch")
	}
	if raw, ok := fields["name"]; ok {
		var name *string
		if err := json.Unmarshal(raw, &name); err != nil || name == nil {
			return core.Invalid("name", "Field is required")
		}
		var err error
		if f.Name, err = fileName("name", *name); err != nil {
			return err
		}
	}
	if raw, ok := fields["metadata"]; ok {
		now := f.Metadata
		if len(now) == 0 {
			now = json.RawMessage("{}")
		}
		var err error
		if f.Metadata, err = mergeMetadata(now, raw); err != nil {
			return err
		}
	}
	return nil
}

func (a *api) deleteFile(ctx context.Context, in *FileMatch) (*struct{}, error) {
	v := actor(ctx)
	var version int64
	if in.IfMatch != "" {
		f, err := a.fileStore.File(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := matches(in.IfMatch, "file", f.Version); err != nil {
			return nil, err
		}
		version = f.Version
	}
	return nil, a.files.Delete(ctx, v, in.ID, version)
}

func fileReply(f *core.File) *fileOutput {
	return &fileOutput{ETag: etag(f.Version), Body: fileBody(f)}
}

func fileBody(f *core.File) file {
	return file{
		ID: f.ID, Name: f.Name, Size: f.Size, ContentType: f.ContentType, SHA256: f.SHA256, Metadata: object(f.Metadata),
		CreatedAt: stamp(f.CreatedAt), UpdatedAt: stamp(f.UpdatedAt), CreatedBy: f.CreatedBy,
	}
}
