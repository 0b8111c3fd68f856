package files

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// maxRanges is the maximum number of ranges in a request. With more, the whole file is sent.
const maxRanges = 16

// downloadPolicy is the Content-Security-Policy for a browser that opens a file in spite of
// Content-Disposition.
const downloadPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"

type downloadInput struct {
	ID          string `path:"file_id"`
	Range       string `header:"Range" doc:"The range of bytes to return, such as bytes=0-1023"`
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of your copy. If it is current, the reply is 304 without content"`
}

func registerDownload(h *handlers) {
	const path = filePath + "/download"
	api.Register(h.api, api.Operation{
		ID: "download-file", Method: http.MethodGet, Path: path,
		Tag: "Files", Summary: "Download a file", Access: api.SignedIn,
		Description: "Supports HEAD, Range and conditional requests such as If-Range, If-None-Match and If-Match. The ETag " +
			"is the SHA-256 of the content. Some backends answer with 307 and a temporary URL of the content.",
		Errors: []core.Code{core.CodePreconditionFailed},
	}, h.download)
	describeDownload(h.api.OpenAPI().Paths[path].Get.Responses)
}

// describeDownload documents the replies that are not JSON.
func describeDownload(responses map[string]*huma.Response) {
	bytes := map[string]*huma.MediaType{"*/*": {
		Schema:  &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The Content-Type is that of the file"},
		Example: "(the bytes)",
	}}
	text := &huma.Schema{Type: huma.TypeString}
	responses["200"] = &huma.Response{
		Description: "The content of the file", Content: bytes, Headers: map[string]*huma.Param{
			"ETag":                {Description: "The SHA-256 of the content, in quotes", Schema: text},
			"Content-Disposition": {Description: "attachment, with the file's name", Schema: text},
			"Accept-Ranges":       {Description: "bytes", Schema: text},
		},
	}
	responses["206"] = &huma.Response{
		Description: "The requested ranges. Several ranges are sent as multipart/byteranges", Content: bytes,
	}
	responses["304"] = &huma.Response{Description: "Your copy is current"}
	responses["307"] = &huma.Response{Description: "The content is available at Location", Headers: map[string]*huma.Param{
		"Location": {Description: "A temporary URL that requires no token", Schema: text},
	}}
	example := rangeNotSatisfiable(exampleFile.Size, "req-123")
	responses["416"] = &huma.Response{
		Description: "VALIDATION_ERROR: the file does not have this range; Content-Range contains its size.",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: responses["404"].Content["application/json"].Schema, Example: example,
		}},
	}
}

func (h *handlers) download(ctx context.Context, in *downloadInput) (*huma.StreamResponse, error) {
	f, err := h.Store.File(ctx, api.Actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		r, w := humachi.Unwrap(hctx)
		if link := h.link(r, f); link != "" {
			w.Header().Set("Location", link)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		h.serveFile(w, r, f)
	}}, nil
}

// link returns the URL to redirect a request for a whole file to, or "" if the server must answer
// itself.
func (h *handlers) link(r *http.Request, f *core.File) string {
	if r.Method != http.MethodGet {
		return ""
	}
	for _, name := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" {
			return ""
		}
	}
	link, err := h.Downloader.Link(r.Context(), f)
	if err != nil {
		h.api.Logger().WarnContext(r.Context(), "cannot get a download link, sending the file instead",
			"request_id", api.RequestFrom(r.Context()).ID, "file_id", f.ID, "error", err)
		return ""
	}
	return link
}

// serveFile sends the content, or the ranges of it that the request asks for.
func (h *handlers) serveFile(w http.ResponseWriter, r *http.Request, f *core.File) {
	ctx, cancel := context.WithCancel(r.Context())
	content := &lockedContent{content: h.Downloader.Open(ctx, f)}
	defer func() { _ = content.Close() }() // nothing is left to read
	defer cancel()
	header := w.Header()
	header.Set("Content-Type", f.ContentType)
	header.Set("Content-Disposition", attachment(f.Name))
	header.Set("Content-Security-Policy", downloadPolicy)
	header.Set("Cache-Control", "private, no-cache")
	header.Set("ETag", `"`+f.SHA256+`"`)
	s := &sender{
		api: h.api, idleTimeout: h.IdleTimeout, file: f, w: w, r: r, req: api.RequestFrom(ctx),
		control: http.NewResponseController(w),
	}
	http.ServeContent(s, withoutUnsupportedRange(r), "", f.CreatedAt, content)
	s.finish(ctx)
}

// withoutUnsupportedRange returns the request without a Range header that the server ignores, as HTTP
// allows: one with another unit, or with too many ranges.
func withoutUnsupportedRange(r *http.Request) *http.Request {
	ranges := r.Header.Get("Range")
	if ranges == "" || strings.HasPrefix(ranges, "bytes=") && strings.Count(ranges, ",") < maxRanges {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}

// attachment returns the Content-Disposition for a name. Clients that support RFC 6266 get the exact
// name, others an ASCII version of it.
func attachment(name string) string {
	ascii := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' {
			return '_'
		}
		return c
	}, name)
	d := mime.FormatMediaType("attachment", map[string]string{"filename": ascii})
	if ascii == name {
		return d
	}
	return d + "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}
