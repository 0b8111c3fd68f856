package api

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
)

// maxRanges is how many ranges of a file are served in one answer; who asks for
// more gets the whole file.
const maxRanges = 16

// downloadPolicy is for those who open a file in their browser all the same.
const downloadPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"

type downloadInput struct {
	ID          string `path:"file_id"`
	Range       string `header:"Range" doc:"The bytes that are wanted: bytes=0-1023"`
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of what you have; 304 when that is it"`
}

func (a *api) registerDownload() {
	const path = "/v1/files/{file_id}/download"
	register(a, operation{
		id: "download-file", method: http.MethodGet, path: path, tag: "Files", summary: "Download a file", access: signedIn,
		about: "Takes Range, If-Range, If-None-Match, If-Match and their like, and HEAD. The ETag is the SHA-256 of the bytes. " +
			"A backend that can may have the bytes fetched from itself: 307, to a URL that is good for a while.",
		errors: []core.Code{core.CodePreconditionFailed},
	}, a.download)
	a.describeDownload(a.huma.OpenAPI().Paths[path].Get.Responses)
}

func (a *api) describeDownload(responses map[string]*huma.Response) {
	bytes := map[string]*huma.MediaType{"*/*": {
		Schema:  &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "By the Content-Type of the file"},
		Example: "(the bytes)",
	}}
	text := &huma.Schema{Type: huma.TypeString}
	responses["200"] = &huma.Response{Description: "The file's bytes", Content: bytes, Headers: map[string]*huma.Param{
		"ETag":                {Description: "The SHA-256 of the bytes, quoted", Schema: text},
		"Content-Disposition": {Description: "attachment, with the file's name", Schema: text},
		"Accept-Ranges":       {Description: "bytes", Schema: text},
	}}
	responses["206"] = &huma.Response{Description: "The ranges that were asked for; more than one come as multipart/byteranges", Content: bytes}
	responses["304"] = &huma.Response{Description: "You have it already"}
	responses["307"] = &huma.Response{Description: "The bytes are to be had at Location", Headers: map[string]*huma.Param{
		"Location": {Description: "A URL that needs no token, for a while", Schema: text},
	}}
	example := noSuchRange(exampleFile.Size, "req-123")
	responses["416"] = &huma.Response{
		Description: "VALIDATION_ERROR: the file has no such range; Content-Range says how long it is.",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: responses["404"].Content["application/json"].Schema, Example: example,
		}},
	}
}

func (a *api) download(ctx context.Context, in *downloadInput) (*huma.StreamResponse, error) {
	f, err := a.fileStore.File(ctx, actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		r, w := humachi.Unwrap(hctx)
		if link := a.link(r, f); link != "" {
			w.Header().Set("Location", link)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		a.serveFile(w, r, f)
	}}, nil
}

// link is where the whole file can be had without the server; empty when the
// server is to answer itself.
func (a *api) link(r *http.Request, f *core.File) string {
	if r.Method != http.MethodGet {
		return ""
	}
	for _, h := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if r.Header.Get(h) != "" {
			return ""
		}
	}
	link, err := a.files.Link(r.Context(), f)
	if err != nil {
		a.log.WarnContext(r.Context(), "no link to a file: the server sends it itself",
			"request_id", requestOf(r.Context()).id, "file_id", f.ID, "error", err)
		return ""
	}
	return link
}

func (a *api) serveFile(w http.ResponseWriter, r *http.Request, f *core.File) {
	ctx, cancel := context.WithCancel(r.Context())
	content := &oneAtATime{content: a.files.Open(ctx, f)}
	defer func() { _ = content.Close() }() // a reader's has nothing left to say
	defer cancel()
	h := w.Header()
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Disposition", attachment(f.Name))
	h.Set("Content-Security-Policy", downloadPolicy)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", `"`+f.SHA256+`"`)
	s := &fileSender{api: a, file: f, w: w, r: r, req: requestOf(ctx), control: http.NewResponseController(w)}
	http.ServeContent(s, withRanges(r), "", f.CreatedAt, content)
	s.finish(ctx)
}

// withRanges is the request without a Range that is not to be served, as HTTP
// allows: one of another unit, or of too many parts.
func withRanges(r *http.Request) *http.Request {
	ranges := r.Header.Get("Range")
	if ranges == "" || strings.HasPrefix(ranges, "bytes=") && strings.Count(ranges, ",") < maxRanges {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}

// attachment is the Content-Disposition that keeps a name whole where the client
// knows RFC 6266, and harmless where it does not.
func attachment(name string) string {
	plain := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' {
			return '_'
		}
		return c
	}, name)
	d := mime.FormatMediaType("attachment", map[string]string{"filename": plain})
	if plain == name {
		return d
	}
	return d + "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}
