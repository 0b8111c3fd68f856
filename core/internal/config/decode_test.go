package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk"
)

var schema = sdk.Block{
	Attributes: []sdk.Attribute{
		{Name: "base_url", Type: "string", Default: `"https://api.example.com/v1"`},
		{Name: "api_key", Type: "string", Required: true, Secret: true, Description: "the key"},
		{Name: "timeout", Type: "number"},
		{Name: "headers", Type: "map(string)"},
		{Name: "tags", Type: "list(string)"},
		{Name: "strict", Type: "bool"},
		{Name: "extra", Type: "any"},
	},
	Blocks: []sdk.NestedBlock{
		{Name: "retry", Max: 1, Block: sdk.Block{Attributes: []sdk.Attribute{
			{Name: "times", Type: "number", Default: "3"},
		}}},
		{Name: "model", Max: 2, Block: sdk.Block{Attributes: []sdk.Attribute{
			{Name: "id", Type: "string", Required: true},
		}}},
	},
}

// block returns the block of llm/openai with the lines in its config block, from line 4 on.
func block(t *testing.T, lines ...string) *config.Block {
	t.Helper()
	return parse(t, "plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n    "+
		strings.Join(lines, "\n    ")+"\n  }\n}\n").Blocks[0]
}

func TestDecode(t *testing.T) {
	t.Setenv("AGENTAREA_TEST_SECONDS", "30")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("sk-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse([]byte(`plugin "llm" "openai" {
  command = "llm-openai"
  config {
    api_key = file("key")
    timeout = env("AGENTAREA_TEST_SECONDS")
    headers = { A = "b" }
    tags    = ["x", "y"]
    strict  = true
    extra   = [1, "two", { three = null }]
    retry {}
    model { id = "a" }
    model { id = "b" }
  }
}`), filepath.Join(dir, "plugins.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"api_key":"sk-1","base_url":"https://api.example.com/v1","extra":[1,"two",{"three":null}],` +
		`"headers":{"A":"b"},"model":[{"id":"a"},{"id":"b"}],"retry":{"times":3},"strict":true,"tags":["x","y"],"timeout":30}`
	s := c.Blocks[0]
	for range 2 {
		got, err := s.Decode(schema)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		// A restarted process gets the same config even if the file has changed.
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte("changed"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDecode_missingAndNull(t *testing.T) {
	t.Parallel()
	got, err := block(t, `api_key = "k"`, `base_url = null`).Decode(schema)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"api_key":"k","base_url":"https://api.example.com/v1","model":[]}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s := parse(t, `plugin "llm" "echo" { command = "llm-echo" }`).Blocks[0]
	if got, err := s.Decode(sdk.Block{}); err != nil || string(got) != "{}" {
		t.Errorf("Decode without a config block = %s, %v, want {}", got, err)
	}
}

func TestDecode_invalidConfig(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{
			"unknown name",
			[]string{`api_key = "k"`, `bas_url = "x"`},
			`plugins.hcl:5,5-12: Unknown name "bas_url"; the config of llm-openai has the settings base_url, api_key, timeout, headers, tags, strict, extra, retry, model (did you mean base_url?)`,
		},
		{
			"missing",
			[]string{`base_url = "x"`},
			`plugins.hcl:3,3-9: Missing "api_key"; the config of llm-openai requires it: the key (add api_key = …)`,
		},
		{
			"null for a required attribute",
			[]string{`api_key = null`},
			`plugins.hcl:4,5-12: Missing "api_key"; the config of llm-openai requires it: the key (add api_key = …)`,
		},
		{
			"number in a string",
			[]string{`api_key = 5`},
			`plugins.hcl:4,5-12: Wrong type; api_key must be a string, not a number (write it in quotes)`,
		},
		{
			"bool in a string",
			[]string{`api_key = "k"`, `base_url = true`},
			`plugins.hcl:5,5-13: Wrong type; base_url must be a string, not true or false (write it in quotes)`,
		},
		{
			"words in a number",
			[]string{`api_key = "k"`, `timeout = "soon"`},
			`plugins.hcl:5,5-12: Wrong type; timeout must be a number, not a string (write a number)`,
		},
		{
			"number in a map of strings",
			[]string{`api_key = "k"`, `headers = { A = "b", C = 5 }`},
			`plugins.hcl:5,30-31: Wrong type; headers.C must be a string, not a number (write it in quotes)`,
		},
		{
			"list for a map",
			[]string{`api_key = "k"`, `headers = []`},
			`plugins.hcl:5,5-12: Wrong type; headers must be a map of strings, not a list (write { name = value })`,
		},
		{
			"inside a block, and all at once",
			[]string{`api_key = "k"`, `model { idd = "x" }`, `retrie {}`},
			`plugins.hcl:5,5-10: Missing "id"; the config of llm-openai requires it (add id = …)
plugins.hcl:5,13-16: Unknown name "idd"; the config of llm-openai has the settings id (did you mean id?)
plugins.hcl:6,5-11: Unknown name "retrie"; the config of llm-openai has the settings base_url, api_key, timeout, headers, tags, strict, extra, retry, model (did you mean retry?)`,
		},
		{
			"too many blocks",
			[]string{`api_key = "k"`, `retry {}`, `retry {}`},
			`plugins.hcl:6,5-10: Duplicate retry block; Only one block of type "retry" is allowed. Previous definition was at plugins.hcl:5,5-10`,
		},
		{
			"block for a value",
			[]string{`api_key {}`},
			`plugins.hcl:3,3-9: Missing "api_key"; the config of llm-openai requires it: the key (add api_key = …)
plugins.hcl:4,5-12: "api_key" is not a block; it has a value (write api_key = …)`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := block(t, tt.lines...).Decode(schema)
			var cerr *config.Error
			if !errors.As(err, &cerr) {
				t.Fatalf("error %v, want an *Error", err)
			}
			if err.Error() != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", err, tt.want)
			}
		})
	}
}

func TestParse_fileFunctionErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"big": "is larger than 1 MiB", ".": "is not a regular file", "gone": "no such file",
	} {
		src := "plugin \"llm\" \"a\" {\n  command = \"x\"\n  config {\n    k = file(\"" + name + "\")\n  }\n}\n"
		_, err := config.Parse([]byte(src), filepath.Join(dir, "plugins.hcl"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "plugins.hcl:4,") {
			t.Errorf("file(%q): error %v, want line 4 and %q", name, err, want)
		}
	}
}

func TestDecode_invalidSchema(t *testing.T) {
	t.Parallel()
	_, err := block(t).Decode(sdk.Block{Attributes: []sdk.Attribute{{Name: "a", Type: "strin"}}})
	var cerr *config.Error
	if err == nil || errors.As(err, &cerr) {
		t.Fatalf("error %v, want one that is not an *Error", err)
	}
	if want := `the config schema of llm-openai is invalid: attribute a: "strin" is not a type`; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestDiagnostics(t *testing.T) {
	t.Parallel()
	s := block(t, `base_url = "ftp://x"`, `api_key = "sk-secret"`, `tags = ["a", "b"]`, `headers = { A = "b" }`,
		`model { id = "m1" }`, `model { id = "m2" }`)
	if _, err := s.Decode(schema); err != nil {
		t.Fatal(err)
	}
	at := func(summary, detail string, path ...string) sdk.Diagnostic {
		return sdk.Diagnostic{ConfigError: sdk.ConfigError{Path: path, Summary: summary, Detail: detail}}
	}
	err := s.Diagnostics([]sdk.Diagnostic{
		at("second model", "", "model", "1", "id"),
		at("bad key", "sk-secret is too short", "api_key"),
		at("bad URL", "Write https://…", "base_url"),
		at("bad tag", "", "tags", "1"),
		at("bad header", "", "headers", "A"),
		at("no such line", "", "nowhere", "x"),
		at("all of it", ""),
		{Warning: true, ConfigError: sdk.ConfigError{Summary: "only a warning", Path: []string{"tags"}}},
	})
	want := `plugins.hcl:3,3-9: no such line
plugins.hcl:3,3-9: all of it
plugins.hcl:4,5-13: bad URL; Write https://…
plugins.hcl:5,5-12: bad key; *** is too short
plugins.hcl:6,18-21: bad tag
plugins.hcl:7,21-24: bad header
plugins.hcl:9,13-15: second model`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	warning := sdk.Diagnostic{Warning: true, ConfigError: sdk.ConfigError{Summary: "old", Path: []string{"tags"}}}
	if err := s.Diagnostics([]sdk.Diagnostic{warning}); err != nil {
		t.Errorf("Diagnostics of a warning = %v, want nil", err)
	}
	if got := s.Warnings([]sdk.Diagnostic{warning}); len(got) != 1 || got[0] != "plugins.hcl:6,5-9: old" {
		t.Errorf("Warnings = %q, want one at line 6", got)
	}
}

func TestProblem_position(t *testing.T) {
	t.Parallel()
	s := block(t)
	for attr, want := range map[string]string{"command": "plugins.hcl:2,3-10: ", "sha256": "plugins.hcl:1,1-22: "} {
		if got := s.Problem(attr, "S", "d", "r").Error(); got != want+"S; d (r)" {
			t.Errorf("Problem(%q) = %q, want it at %q", attr, got, want)
		}
	}
}
