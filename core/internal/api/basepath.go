package api

import (
	"net/http"
	"net/url"
	"strings"
)

// basePathOf returns the path of the public URL without its trailing slash, or "" if the URL has none.
func basePathOf(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// underBasePath returns a handler that also serves h under a base path, for proxies that keep it. Proxies that remove
// it, and clients that reach the server directly, use the paths without it.
func underBasePath(basePath string, h http.Handler) http.Handler {
	if basePath == "" {
		return h
	}
	bare := http.StripPrefix(basePath, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, basePath+"/") && strings.HasPrefix(r.URL.EscapedPath(), basePath+"/") {
			bare.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// addBasePath adds the base path to the path of the object that a reply has created.
func addBasePath(basePath string, h http.Header) {
	if at := h.Get("Location"); basePath != "" && strings.HasPrefix(at, "/") {
		h.Set("Location", basePath+at)
	}
}
