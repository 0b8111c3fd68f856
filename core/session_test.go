package core

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckSessionID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"s", "session-123", "a b", " ", "über/straße?x=1#y", `"quoted" \ %2F`, "会话一", "جلسة", "👩‍🚀 trip", "e\u0301", "...", "a..b/.c", "a\u00a0b",
		strings.Repeat("會", MaxSessionID),
	} {
		if err := CheckSessionID("session_id", id); err != nil {
			t.Errorf("CheckSessionID(%q) = %v, want nil", id, err)
		}
	}
	for id, want := range map[string]string{
		"":                                      "Must not be empty",
		strings.Repeat("會", MaxSessionID+1):     "Must be at most 128 characters long",
		"a\nb":                                  "Must contain only printable characters, but character 2 is U+000A",
		"\x00":                                  "Must contain only printable characters, but character 1 is U+0000",
		"ab\x7f":                                "Must contain only printable characters, but character 3 is U+007F",
		"a\u202eb":                              "Must contain only printable characters, but character 2 is U+202E",
		"\ufeffa":                               "Must contain only printable characters, but character 1 is U+FEFF",
		"a\u2028":                               "Must contain only printable characters, but character 2 is U+2028",
		".":                                     `Must not contain "." as a path segment`,
		"..":                                    `Must not contain ".." as a path segment`,
		"a/../b":                                `Must not contain ".." as a path segment`,
		`..\b`:                                  `Must not contain ".." as a path segment`,
		strings.Repeat("a", MaxSessionID) + "b": "Must be at most 128 characters long",
	} {
		err := CheckSessionID("session_id", id)
		var e *Error
		if !errors.As(err, &e) || e.Fields[0] != (FieldError{Field: "session_id", Issue: want}) {
			t.Errorf("CheckSessionID(%q) = %v, want %q", id, err, want)
		}
	}
}
