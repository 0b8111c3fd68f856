package sdk

import (
	"mime"
	"slices"
	"strings"
)

// textTypes lists the media types of text that neither start with text/ nor end in +json or +xml.
var textTypes = []string{
	"application/json", "application/x-ndjson", "application/jsonl",
	"application/xml", "application/yaml", "application/x-yaml",
	"application/toml", "application/javascript", "application/x-javascript", "application/csv", "application/sql",
	"application/x-sh", "application/x-python",
}

// imageTypes lists the media types of images that models accept.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// IsText reports whether the media type of the file is one of text.
func (f *File) IsText() bool {
	t := f.mediaType()
	return strings.HasPrefix(t, "text/") ||
		strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml") || slices.Contains(textTypes, t)
}

// IsImage reports whether the media type of the file is one of an image that models accept: PNG,
// JPEG, GIF or WebP.
func (f *File) IsImage() bool { return slices.Contains(imageTypes, f.mediaType()) }

// mediaType returns the media type in lower case and without parameters, or "" if it is not valid.
func (f *File) mediaType() string {
	t, _, err := mime.ParseMediaType(f.MediaType)
	if err != nil {
		return ""
	}
	return t
}
