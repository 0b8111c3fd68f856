package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-chi/chi/v5"
)

//go:embed docs/index.html docs/init.js docs/swagger-ui-bundle.js docs/swagger-ui.css docs/favicon-32x32.png
var docsFiles embed.FS

// docsPolicy is the Content-Security-Policy of the docs page: it may load only what this server serves.
// Swagger UI needs no more, because it has no inline styles or scripts and embeds its images in CSS.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is a file that does not change while the server runs.
type asset struct {
	contentType string
	body        []byte
	etag        string
	gzipped     func() []byte
}

// newAsset returns an asset. It is compressed when it is first needed.
func newAsset(contentType string, body []byte) *asset {
	sum := sha256.Sum256(body)
	return &asset{
		contentType: contentType, body: body, etag: `"` + hex.EncodeToString(sum[:8]) + `"`,
		gzipped: sync.OnceValue(func() []byte {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(body) // a Buffer never fails
			_ = z.Close()
			return b.Bytes()
		}),
	}
}

// ServeHTTP implements http.Handler.
func (s *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", s.etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Security-Policy", docsPolicy)
	if noneMatch(r.Header.Get("If-None-Match"), s.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", s.contentType)
	body := s.body
	if s.contentType != "image/png" && acceptsGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		body = s.gzipped()
	}
	_, _ = w.Write(body) //nolint:gosec // a file of this repository, not input; the client may have disconnected
}

// serveDocs adds the docs page and the OpenAPI document, which must be complete.
func serveDocs(a *API) {
	finishSchemas(a.huma.OpenAPI())
	document, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		panic(fmt.Errorf("encode the OpenAPI document: %w", err)) // an operation has an example that is not JSON
	}
	serveAsset(a.router, "/openapi.json", newAsset("application/json", document))
	for name, contentType := range map[string]string{
		"init.js":              "text/javascript; charset=utf-8",
		"swagger-ui-bundle.js": "text/javascript; charset=utf-8",
		"swagger-ui.css":       "text/css; charset=utf-8",
		"favicon-32x32.png":    "image/png",
	} {
		serveAsset(a.router, "/docs/"+name, newAsset(contentType, docsFile(name)))
	}
	// The links are relative, so that the page works under every path at which a proxy shows it. They are those of
	// /docs; /docs/ is one level deeper.
	page := docsFile("index.html")
	deeper := bytes.ReplaceAll(page, []byte(`="docs/`), []byte(`="`))
	a.router.Method(http.MethodGet, "/docs", newAsset("text/html; charset=utf-8", page))
	a.router.Method(http.MethodGet, "/docs/", newAsset("text/html; charset=utf-8", deeper))
}

func docsFile(name string) []byte {
	body, err := docsFiles.ReadFile("docs/" + name)
	if err != nil {
		panic(fmt.Errorf("read an embedded file: %w", err))
	}
	return body
}

// serveAsset adds a route for an asset, with and without a trailing slash.
func serveAsset(r chi.Router, path string, s *asset) {
	r.Method(http.MethodGet, path, s)
	r.Method(http.MethodGet, otherSlash(path), s)
}
