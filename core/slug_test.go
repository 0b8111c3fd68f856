package core

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckSlug(t *testing.T) {
	t.Parallel()
	for slug, want := range map[string]string{
		"a": "", "7": "", "my-server": "", "a-1-b": "", strings.Repeat("a", 40): "", "file": "", "files-2": "",
		"":                      "Must not be empty",
		"My-server":             "a-z, 0-9",
		"my_server":             "a-z, 0-9",
		"my server":             "a-z, 0-9",
		"my/server":             "a-z, 0-9",
		"größe":                 "a-z, 0-9",
		"-a":                    "begin or end",
		"a-":                    "begin or end",
		"-":                     "begin or end",
		"a--b":                  "two in a row",
		strings.Repeat("a", 41): "at most 40",
		"files":                 `"files" is reserved`,
	} {
		err := CheckSlug("slug", slug)
		if want == "" {
			if err != nil {
				t.Errorf("CheckSlug(%q) = %v, want nil", slug, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeValidation || e.Fields[0].Field != "slug" ||
			!strings.Contains(e.Fields[0].Issue, want) {
			t.Errorf("CheckSlug(%q) = %v, want %q", slug, err, want)
		}
	}
}

func TestSlugOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"file-operations":                 "file-operations",
		"My MCP  Server (v2)":             "my-mcp-server-v2",
		"__a__b__":                        "a-b",
		"翻訳":                              "server",
		"":                                "server",
		"Files":                           "files",
		strings.Repeat("a", 39) + " tail": strings.Repeat("a", 39),
		strings.Repeat("a", 60):           strings.Repeat("a", 40),
	} {
		got := Slugify(name)
		if got != want {
			t.Errorf("Slugify(%q) = %q, want %q", name, got, want)
		}
		if err := CheckSlug("slug", got); err != nil && got != "files" {
			t.Errorf("Slugify(%q) is not valid: %v", name, err)
		}
	}
}
