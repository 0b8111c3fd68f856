package files

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk"
)

// maxKey is the maximum length of a key, and maxSegment the maximum length of a segment between
// slashes, both in bytes.
const (
	maxKey     = 255
	maxSegment = 80
)

// CheckKey returns an error with CodeInvalidRequest if the key is not valid. Serve calls it, so that a
// Backend receives valid keys only.
func CheckKey(key string) error {
	switch {
	case key == "":
		return badKey("is empty")
	case len(key) > maxKey:
		return badKey("has %d bytes; the maximum is %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return badKey("is not valid UTF-8")
	case strings.IndexByte(key, 0) >= 0:
		return badKey("contains a NUL byte")
	}
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > maxSegment {
			return badKey("has %d bytes between two slashes; the maximum is %d", len(segment), maxSegment)
		}
	}
	return nil
}

func badKey(format string, args ...any) error {
	return invalid("the key " + fmt.Sprintf(format, args...))
}

func invalid(message string) error {
	return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: message}
}
