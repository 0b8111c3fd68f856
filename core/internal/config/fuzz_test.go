package config

import (
	"os"
	"strings"
	"testing"
)

// FuzzPlugins checks that Parse returns blocks or an error with a position for any text, and always the same.
func FuzzPlugins(f *testing.F) {
	shipped, err := os.ReadFile("../../../plugins.hcl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	for _, s := range []string{
		"plugin \"llm\" \"a\" {\n command = \"x\"\n}\n", `plugin "llm" {}`, `file_backend = 5`,
		`plugin "llm" "a" { command = env("A") }`, `plugin "llm" "a" { models = ["[", 1] }`,
		`plugin "files" "l" { command = "../x" }`, `x = ${`,
		`plugin "llm" "a" { command = "x" config { a = file("/dev/null") } }`, `a = [for i in [1]: i]`,
		"plugin \"llm\" \"a\" {\n command = <<E\nx\nE\n}", "\xef\xbb\xbfa=1", "a = 1e999999999",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if strings.Contains(string(src), "file") {
			return // the result of file() depends on the disk
		}
		c, err := Parse(src, "plugins.hcl")
		if (c == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v, want either a config or an error", c, err)
		}
		if err != nil && !strings.Contains(err.Error(), "plugins.hcl:") {
			t.Errorf("the error has no position: %v", err)
		}
		_, again := Parse(src, "plugins.hcl")
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Errorf("error %v, then %v, want the same", err, again)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{
		"2GiB", "500MB", "0", "-1", "1e3", "9223372036854775808", "1.5 KiB", "16EiB", "NaNMB", "infB",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil && s < 0 {
			t.Errorf("UnmarshalText(%q) = %d bytes, want no negative size", text, s)
		}
	})
}
