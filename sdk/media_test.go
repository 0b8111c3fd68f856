package sdk_test

import (
	"testing"

	"github.com/agentarea/agentarea/sdk"
)

func TestFile_IsTextAndIsImage(t *testing.T) {
	t.Parallel()
	for mediaType, want := range map[string]string{
		"text/plain; charset=utf-8":             "text",
		"TEXT/Markdown":                         "text",
		"application/json":                      "text",
		"application/geo+json":                  "text",
		"image/svg+xml":                         "text",
		"application/x-ndjson":                  "text",
		"image/png":                             "image",
		"image/jpeg":                            "image",
		"image/tiff":                            "",
		"application/pdf":                       "",
		"application/octet-stream":              "",
		"application/vnd.ms-visio.drawing.main": "",
		"":                                      "",
		"text":                                  "",
	} {
		f := &sdk.File{MediaType: mediaType}
		got := ""
		if f.IsText() {
			got += "text"
		}
		if f.IsImage() {
			got += "image"
		}
		if got != want {
			t.Errorf("the kind of %q = %q, want %q", mediaType, got, want)
		}
	}
}
