package sdk

import (
	"mime"
	"slices"
	"strings"
)

// textTypes are those of text that do not begin with text/ nor end in +json or +xml.
var textTypes = []string{
	"application/json", "application/x-ndjson", "application/jsonl", "application/xml", "application/yaml", "application/x-yaml",
	"application/toml", "application/javascript", "application/x-javascript", "application/csv", "application/sql",
	"application/x-sh", "application/x-python",
}

// imageTypes are those that models take.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// IsText says whether a file's bytes are text, by its media type.
func (f *File) IsText() bool {
	t := f.mediaType()
	return strings.HasPrefix(t, "text/") ||
		strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml") || slices.Contains(textTypes, t)
}

// IsImage says whether a file is an image of a kind that models take: PNG, JPEG,
// GIF or WebP.
func (f *File) IsImage() bool { return slices.Contains(imageTypes, f.mediaType()) }

// mediaType is without parameters, in lower case.
func (f *File) mediaType() string {
	t, _, err := mime.ParseMediaType(f.MediaType)
	if err != nil {
		return ""
	}
	return t
}
