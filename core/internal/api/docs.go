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
	"strings"
	"sync"
)

//go:embed docs/index.html docs/init.js docs/swagger-ui-bundle.js docs/swagger-ui.css docs/favicon-32x32.png
var docsFiles embed.FS

// docsPolicy lets the page load what comes from here only. Swagger UI needs no
// more: it styles by classes and by script, and has images in its stylesheet.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is a file that stays the same as long as the server runs.
type asset struct {
	contentType string
	body        []byte
	tag         string
	zipped      func() []byte
}

func newAsset(contentType string, body []byte) *asset {
	sum := sha256.Sum256(body)
	return &asset{
		contentType: contentType, body: body, tag: `"` + hex.EncodeToString(sum[:8]) + `"`,
		zipped: sync.OnceValue(func() []byte {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(body) // a Buffer takes everything
			_ = z.Close()
			return b.Bytes()
		}),
	}
}

// ServeHTTP implements http.Handler.
func (s *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", s.tag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Security-Policy", docsPolicy)
	if strings.Contains(r.Header.Get("If-None-Match"), s.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", s.contentType)
	body := s.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && s.contentType != "image/png" {
		h.Set("Content-Encoding", "gzip")
		body = s.zipped()
	}
	_, _ = w.Write(body) // the client may be gone
}

// serveDocs adds the docs page and the OpenAPI document, which must be complete.
func (a *api) serveDocs() {
	document, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		panic(fmt.Errorf("encode the OpenAPI document: %w", err)) // a mistake in this package
	}
	a.serve("/openapi.json", newAsset("application/json", document))
	for name, contentType := range map[string]string{
		"index.html":           "text/html; charset=utf-8",
		"init.js":              "text/javascript; charset=utf-8",
		"swagger-ui-bundle.js": "text/javascript; charset=utf-8",
		"swagger-ui.css":       "text/css; charset=utf-8",
		"favicon-32x32.png":    "image/png",
	} {
		body, err := docsFiles.ReadFile("docs/" + name)
		if err != nil {
			panic(fmt.Errorf("read an embedded file: %w", err))
		}
		path := "/docs/" + name
		if name == "index.html" {
			path = "/docs"
		}
		a.serve(path, newAsset(contentType, body))
	}
}

func (a *api) serve(path string, s *asset) {
	a.router.Method(http.MethodGet, path, s)
	a.router.Method(http.MethodGet, otherSlash(path), s)
}
