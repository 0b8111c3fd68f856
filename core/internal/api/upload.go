package api

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
)

const (
	// formRoom is what a form may have besides the file's bytes.
	formRoom = 1 << 20
	// leftover is how long what is left of a refused body may take to arrive.
	leftover = 2 * time.Second
)

// uploadInput is the request itself: Huma would keep the body.
type uploadInput struct {
	r *http.Request
	w http.ResponseWriter
}

// Resolve implements huma.Resolver.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	in.r, in.w = humachi.Unwrap(ctx)
	return nil
}

type fileMade struct {
	Location string `header:"Location" doc:"Where the file is"`
	ETag     string `header:"ETag" doc:"The version, for If-Match"`
	Body     file
}

func (a *api) registerUpload() {
	const path = "/v1/files/upload"
	register(a, operation{
		id: "upload-file", method: http.MethodPost, path: path, tag: "Files", summary: "Upload a file", access: writer,
		about: fmt.Sprintf("Takes a form of two parts, in either order: `file` with a filename, at most %d bytes unless your admin has set less, and `metadata`, "+
			"a JSON object of at most 64 KiB that may be left out. The file is kept when the answer is here, and nothing of it when the answer is an error. "+
			"Of the filename, what stands before a slash or backslash is left out.", a.maxUpload),
		status: http.StatusCreated, response: exampleFile,
		errors: []core.Code{
			core.CodeValidation, core.CodePayloadTooLarge, core.CodeUnsupportedMediaType, core.CodeRateLimited, core.CodeInsufficientStorage,
		},
	}, a.upload)
	a.describeUpload(path)
}

// describeUpload documents the form, in a copy of the operation: one that has a
// body has it read whole before the handler.
func (a *api) describeUpload(path string) {
	item := a.huma.OpenAPI().Paths[path]
	op := *item.Post
	op.RequestBody = &huma.RequestBody{
		Required: true,
		Content: map[string]*huma.MediaType{"multipart/form-data": {
			Schema: &huma.Schema{
				Type: huma.TypeObject, Required: []string{"file"}, AdditionalProperties: false,
				Properties: map[string]*huma.Schema{
					"file":     {Type: huma.TypeString, Format: "binary", Description: "The bytes, with a filename"},
					"metadata": {Type: huma.TypeObject, AdditionalProperties: true, Description: "A JSON object of your own"},
				},
			},
			Encoding: map[string]*huma.Encoding{"metadata": {ContentType: "application/json"}},
			Example:  map[string]any{"file": "(the bytes)", "metadata": exampleFile.Metadata},
		}},
	}
	item.Post = &op
}

func (a *api) upload(ctx context.Context, in *uploadInput) (*fileMade, error) {
	body := &patient{body: in.r.Body, control: http.NewResponseController(in.w), patience: a.patience}
	f, err := a.receiveFile(ctx, in.r, body)
	if err != nil && body.err == nil {
		// The server reads on a little before it answers, so that the client hears it.
		_ = body.control.SetReadDeadline(time.Now().Add(leftover))
	}
	if err != nil {
		return nil, err
	}
	return &fileMade{Location: "/v1/files/" + f.ID, ETag: etag(f.Version), Body: fileBody(f)}, nil
}

func (a *api) receiveFile(ctx context.Context, r *http.Request, body *patient) (*core.File, error) {
	if r.ContentLength > a.maxUpload+formRoom {
		return nil, &core.Error{
			Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The upload has %d bytes; a file may have at most %d", r.ContentLength, a.maxUpload),
			Fields: []core.FieldError{{Field: "file", Issue: fmt.Sprintf("Must be at most %d bytes: send less, or ask an admin for a higher limit", a.maxUpload)}},
		}
	}
	form, err := openForm(r, body)
	if err != nil {
		return nil, err
	}
	f, err := a.files.Upload(ctx, actor(ctx), form.upload)
	if err != nil && form.ended != nil && !errors.Is(form.ended, io.EOF) {
		// Whatever the backend made of it, this is what the client has to mend.
		return nil, form.ended
	}
	return f, err
}
