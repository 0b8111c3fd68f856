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

// presign downloads by the URL that the plugin gives, if it gives one.
func (s *checks) presign(t *testing.T) {
	key, data := s.key(t, "a b%20+ü"), noise(8, 1<<20)
	s.put(t, key, data)
	want := files.PresignRequest{
		Key: key, Expires: time.Minute,
		ContentDisposition: `attachment; filename="a b.txt"; filename*=UTF-8''%C3%BC.txt`, ContentType: "text/plain; charset=utf-8",
	}
	url, err := s.client.Presign(t.Context(), want)
	if err != nil {
		t.Fatalf("Presign: %v", err)
	}
	if url == "" {
		t.Log("the plugin gives no URLs, and has the host read the bytes")
		return
	}
	if !slices.Contains(s.plugin.Description.Capabilities, files.CapabilityPresign) {
		t.Errorf("the plugin gives URLs, and its capabilities are %q without %q", s.plugin.Description.Capabilities, files.CapabilityPresign)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatalf("Presign gave %q: %v", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, data) {
		t.Errorf("GET gave %s, and %d bytes that are not the %d of the object: %v", resp.Status, len(got), len(data), err)
	}
	h := resp.Header
	if h.Get("Content-Disposition") != want.ContentDisposition || h.Get("Content-Type") != want.ContentType {
		t.Errorf("Content-Disposition is %q, Content-Type %q", h.Get("Content-Disposition"), h.Get("Content-Type"))
	}
}
