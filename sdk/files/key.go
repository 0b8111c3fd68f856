package files

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk"
)

// The bounds of a key, in bytes.
const (
	maxKey     = 255
	maxSegment = 80
)

// CheckKey is CodeInvalidRequest for what is no key. A plugin that Serve runs
// is asked for keys only.
func CheckKey(key string) error {
	switch {
	case key == "":
		return badKey("is empty")
	case len(key) > maxKey:
		return badKey("has %d bytes; %d are the most", len(key), maxKey)
	case !utf8.ValidString(key):
		return badKey("is not UTF-8")
	case strings.IndexByte(key, 0) >= 0:
		return badKey("has a NUL")
	}
	for segment := range strings.SplitSeq(key, "/") {
		if len(segment) > maxSegment {
			return badKey("has %d bytes between its slashes; %d are the most", len(segment), maxSegment)
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
