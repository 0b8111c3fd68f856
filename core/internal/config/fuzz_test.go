package config

import (
	"os"
	"strings"
	"testing"
)

// Of any text there are stanzas, or a fault with its line; and the same each time.
func FuzzPlugins(f *testing.F) {
	shipped, err := os.ReadFile("../../../plugins.hcl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	for _, s := range []string{
		"plugin \"llm\" \"a\" {\n command = \"x\"\n}\n", `plugin "llm" {}`, `file_backend = 5`, `plugin "llm" "a" { command = env("A") }`, `plugin "llm" "a" { models = ["[", 1] }`,
		`plugin "files" "l" { command = "../x" }`, `x = ${`, `plugin "llm" "a" { command = "x" config { a = file("/dev/null") } }`, `a = [for i in [1]: i]`, "plugin \"llm\" \"a\" {\n command = <<E\nx\nE\n}", "\xef\xbb\xbfa=1", "a = 1e999999999",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if strings.Contains(string(src), "file") {
			return // what is on the disk is another matter
		}
		c, err := Parse(src, "plugins.hcl")
		if (c == nil) == (err == nil) {
			t.Fatalf("both or neither: %v, %v", c, err)
		}
		if err != nil && !strings.Contains(err.Error(), "plugins.hcl:") {
			t.Errorf("the fault has no line: %v", err)
		}
		_, again := Parse(src, "plugins.hcl")
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Errorf("%v, and then %v", err, again)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"2GiB", "500MB", "0", "-1", "1e3", "9223372036854775808", "1.5 KiB", "16EiB", "NaNMB", "infB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil && s < 0 {
			t.Errorf("%q is %d bytes", text, s)
		}
	})
}
