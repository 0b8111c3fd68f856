package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

const (
	// formOverhead is the maximum size of a form in bytes without the content of the file.
	formOverhead = 1 << 20
	// discardTimeout is the maximum time to read the rest of a rejected body.
	discardTimeout = 2 * time.Second
)

// uploadInput is the request itself, because Huma would read the whole body.
type uploadInput struct {
	r *http.Request
	w http.ResponseWriter
}

// Resolve implements huma.Resolver.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	in.r, in.w = humachi.Unwrap(ctx)
	return nil
}

func registerUpload(h *handlers) {
	const path = "/v1/files/upload"
	api.RegisterRepeatable(h.api, api.Operation{
		ID: "upload-file", Method: http.MethodPost, Path: path, Tag: "Files", Summary: "Upload a file", Access: api.Writer,
		Description: fmt.Sprintf("Accepts a form with two parts in any order: `file` with a filename, at most %d bytes "+
			"unless your administrator has set a lower limit, and optionally `metadata`, a JSON object of at most 64 KiB. The "+
			"file is stored when the request succeeds; if it fails, nothing is stored. Everything up to the last slash or "+
			"backslash of the filename is removed.", h.MaxUpload),
		Status: http.StatusCreated, Response: exampleFile, LateHash: true,
		Errors: []core.Code{
			core.CodeValidation, core.CodePayloadTooLarge, core.CodeUnsupportedMediaType,
			core.CodeRateLimited, core.CodeInsufficientStorage,
		},
	}, h.upload, func(ctx context.Context, _ *uploadInput, id string) (*fileMade, error) {
		return newFileMade(h.Store.File(ctx, api.Actor(ctx), id))
	})
	describeUpload(h.api.OpenAPI().Paths[path])
}

// describeUpload documents the form in a copy of the operation, because the framework reads the body of
// an operation that has one into memory.
func describeUpload(item *huma.PathItem) {
	op := *item.Post
	op.RequestBody = &huma.RequestBody{
		Required: true,
		Content: map[string]*huma.MediaType{"multipart/form-data": {
			Schema: &huma.Schema{
				Type: huma.TypeObject, Required: []string{"file"}, AdditionalProperties: false,
				Properties: map[string]*huma.Schema{
					"file":     {Type: huma.TypeString, Format: "binary", Description: "The content, with a filename"},
					"metadata": {Type: huma.TypeObject, AdditionalProperties: true, Description: "A JSON object that you define"},
				},
			},
			Encoding: map[string]*huma.Encoding{"metadata": {ContentType: "application/json"}},
			Example:  map[string]any{"file": "(the bytes)", "metadata": exampleFile.Metadata},
		}},
	}
	item.Post = &op
}

func (h *handlers) upload(ctx context.Context, in *uploadInput) (*fileMade, error) {
	body := &idleTimeoutReader{body: in.r.Body, control: http.NewResponseController(in.w), timeout: h.IdleTimeout}
	f, err := h.receive(ctx, in.r, body)
	if err != nil && body.err == nil {
		// The server reads a little more before it answers, so that the client sees the answer.
		_ = body.control.SetReadDeadline(time.Now().Add(discardTimeout))
	}
	return newFileMade(f, err)
}

// receive reads the form and stores the file.
func (h *handlers) receive(ctx context.Context, r *http.Request, body *idleTimeoutReader) (*core.File, error) {
	if r.ContentLength > h.MaxUpload+formOverhead {
		return nil, &core.Error{
			Code:    core.CodePayloadTooLarge,
			Message: fmt.Sprintf("The upload has %d bytes, but a file can have at most %d", r.ContentLength, h.MaxUpload),
			Fields: []core.FieldError{{
				Field: "file",
				Issue: fmt.Sprintf("Must be at most %d bytes. Send less, or ask an admin to raise the limit.", h.MaxUpload),
			}},
		}
	}
	form, err := openForm(r, body)
	if err != nil {
		return nil, err
	}
	f, err := h.Uploader.Upload(ctx, api.Audit(ctx), api.Actor(ctx), form.upload)
	if err != nil && form.err != nil && !errors.Is(form.err, io.EOF) {
		// The backend may have wrapped or replaced the error, but the client must correct the form.
		return nil, form.err
	}
	return f, err
}
