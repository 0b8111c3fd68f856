package plugintest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/files"
)

// presign checks a download with the URL of Presign, if the plugin supports it.
func (s *checks) presign(t *testing.T) {
	key, data := s.key(t, "a b%20+ü"), noise(8, 1<<20)
	s.put(t, key, data)
	want := files.PresignRequest{
		Key: key, Expires: time.Minute,
		ContentDisposition: `attachment; filename="a b.txt"; filename*=UTF-8''%C3%BC.txt`,
		ContentType:        "text/plain; charset=utf-8",
	}
	url, err := s.client.Presign(t.Context(), want)
	if err != nil {
		t.Fatalf("Presign: %v", err)
	}
	if url == "" {
		t.Log("the plugin does not support Presign")
		return
	}
	if !slices.Contains(s.plugin.Description.Capabilities, files.CapabilityPresign) {
		t.Errorf("the plugin supports Presign, but its capabilities are %q, want %q among them",
			s.plugin.Description.Capabilities, files.CapabilityPresign)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatalf("Presign = %q: %v", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, data) {
		t.Errorf("GET of the URL returned %s and %d bytes, want the %d bytes of the object: %v",
			resp.Status, len(got), len(data), err)
	}
	h := resp.Header
	if h.Get("Content-Disposition") != want.ContentDisposition || h.Get("Content-Type") != want.ContentType {
		t.Errorf("GET of the URL returned Content-Disposition %q and Content-Type %q, want the requested ones",
			h.Get("Content-Disposition"), h.Get("Content-Type"))
	}
}
