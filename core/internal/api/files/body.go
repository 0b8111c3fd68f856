package files

import (
	"encoding/json"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

type file struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Size        int64      `json:"size" doc:"In bytes"`
	ContentType string     `json:"content_type" doc:"Detected from the content. The type that the upload declares is ignored"`
	SHA256      string     `json:"sha256" doc:"The SHA-256 of the content, in hex"`
	Metadata    api.Object `json:"metadata" doc:"Your own description of the file"`
	CreatedAt   api.Time   `json:"created_at"`
	UpdatedAt   api.Time   `json:"updated_at" doc:"When the name or the metadata last changed. The content never changes"`
	CreatedBy   string     `json:"created_by"`
}

type fileList struct {
	Files []file `json:"files"`
	api.Paged
}

// fileChange documents the fields of a merge patch.
type fileChange struct {
	Name     *string     `json:"name,omitempty" doc:"At most 255 characters, without control characters. Everything up to the last slash or backslash is removed"`
	Metadata *api.Object `json:"metadata,omitempty" doc:"Merged with the metadata. null removes a field. At most 64 KiB in total"`
}

// applyPatch changes the fields of f that the patch contains. It fails with Invalid.
func applyPatch(f *core.File, patch []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(patch, &fields); err != nil {
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

type (
	fileInput struct {
		ID string `path:"file_id"`
	}
	// FileMatch selects a file and the version that it must have.
	FileMatch struct {
		ID      string `path:"file_id"`
		IfMatch string `header:"If-Match" doc:"The ETag of the version to change. If the file has changed since then, the request fails with 412"`
	}
	filePatchInput struct {
		FileMatch
		Body api.Patch[fileChange]
	}
	filesInput struct {
		api.LongPage
		Name        string `query:"name" doc:"Filter by a part of the name, ignoring case"`
		ContentType string `query:"content_type" pattern:"^[^/;\\s]+/[^/;\\s]+$" patternDescription:"Must be a MIME type without parameters, such as text/plain or image/*" doc:"Filter by MIME type, such as text/plain or image/*"`
	}
	filesOutput struct{ Body fileList }
	fileOutput  struct {
		ETag string `header:"ETag" doc:"For If-None-Match, and for If-Match, which compares only the version in it"`
		Body file
	}
	fileMade struct {
		Location string `header:"Location" doc:"The path of the file"`
		ETag     string `header:"ETag" doc:"For If-None-Match, and for If-Match, which compares only the version in it"`
		Body     file
	}
)

var exampleFile = file{
	ID: "file-123", Name: "report.pdf", Size: 48213, ContentType: "application/pdf",
	SHA256:    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	Metadata:  api.Object(`{"description":"Document for processing"}`),
	CreatedAt: api.ExampleTime, UpdatedAt: api.ExampleTime, CreatedBy: "user-456",
}

func newFileOutput(f *core.File) *fileOutput {
	return &fileOutput{ETag: api.ETag(f.Version), Body: newFileBody(f)}
}

func newFileMade(f *core.File, err error) (*fileMade, error) {
	if err != nil {
		return nil, err
	}
	return &fileMade{Location: listPath + f.ID, ETag: api.ETag(f.Version), Body: newFileBody(f)}, nil
}

func newFileBody(f *core.File) file {
	return file{
		ID: f.ID, Name: f.Name, Size: f.Size, ContentType: f.ContentType, SHA256: f.SHA256, Metadata: api.Object(f.Metadata),
		CreatedAt: api.Time(f.CreatedAt), UpdatedAt: api.Time(f.UpdatedAt), CreatedBy: f.CreatedBy,
	}
}

// fileName returns the name of a file without its folders. It fails with Invalid of the field.
func fileName(field, given string) (string, error) {
	name := given[strings.LastIndexAny(given, `/\`)+1:]
	return name, core.CheckFileName(field, name)
}
