package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core/internal/config"
)

func parse(t *testing.T, src string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(src), "plugins.hcl")
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

func TestParse(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-secret")
	c := parse(t, `
plugin_dirs = ["extra", "/opt/plugins/"]

plugin "llm" "openai" {
  command  = "llm-openai"
  args     = ["-v"]
  enabled  = env("OPENAI_API_KEY") != ""
  models   = ["gpt-*", "o?"]
  pass_env = ["AWS_REGION"]
  env      = { LEVEL = "debug" }
  sha256   = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
  auto_mtls = false
  config {
    api_key = env("OPENAI_API_KEY")
  }
}

plugin "llm" "off" {
  enabled = env("AGENTAREA_TEST_NOT_SET") != ""
  command = 5
  config {
    key = file("not-there")
  }
}

plugin "files" "local" { command = "files-local" }
`)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.PluginDirs) != 2 || c.PluginDirs[0] != filepath.Join(wd, "extra") || c.PluginDirs[1] != "/opt/plugins" {
		t.Errorf("PluginDirs = %q", c.PluginDirs)
	}
	if c.FileBackend != "local" {
		t.Errorf("FileBackend = %q, want the only files plugin", c.FileBackend)
	}
	if len(c.Blocks) != 3 {
		t.Fatalf("got %d blocks, want 3", len(c.Blocks))
	}
	s := c.Blocks[0]
	if s.Name() != "llm/openai" || s.Command != "llm-openai" || !s.Enabled || s.AutoMTLS ||
		s.Env["LEVEL"] != "debug" || s.PassEnv[0] != "AWS_REGION" || s.Args[0] != "-v" ||
		!strings.HasPrefix(s.SHA256, "e3b0c442") {
		t.Errorf("openai = %+v", s)
	}
	if off := c.Blocks[1]; off.Enabled {
		t.Error("the block with enabled = false is enabled")
	}
	if f := c.Blocks[2]; !f.Enabled || !f.AutoMTLS {
		t.Error("a block without settings must be enabled and use mTLS")
	}
}

func TestParse_invalidFile(t *testing.T) {
	t.Setenv("AGENTAREA_TEST_EMPTY", "")
	tests := []struct{ name, src, want string }{
		{
			"syntax", "plugin \"llm\" {\n",
			`plugins.hcl:1,14-15: Unclosed configuration block; There is no closing brace for this block before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file`,
		},
		{
			"top-level name", "file_backends = \"x\"\n",
			`plugins.hcl:1,1-14: Unknown name "file_backends"; plugins.hcl has the settings file_backend, plugin_dirs, require_checksums, plugin (did you mean file_backend?)`,
		},
		{
			"top-level block", "server {}\n",
			`plugins.hcl:1,1-7: Unknown name "server"; plugins.hcl has the settings file_backend, plugin_dirs, require_checksums, plugin`,
		},
		{
			"labels", "plugin \"openai\" {}\n",
			`plugins.hcl:1,1-16: A plugin block needs a kind and a label; it has 1 label (write plugin "llm" "openai" { … })`,
		},
		{
			"kind", "plugin \"lm\" \"a\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:1,8-12: Unknown kind "lm"; the kinds are agent, llm, files, mcp (did you mean llm?)`,
		},
		{
			"label", "plugin \"llm\" \"Open AI\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:1,14-23: Invalid label "Open AI"; a label contains only lower-case letters, digits, - and _, starts with a letter and has at most 64 characters`,
		},
		{
			"no command", "plugin \"llm\" \"a\" {}\n",
			`plugins.hcl:1,1-17: Missing command; plugin "llm" "a" has no program (add command = "…")`,
		},
		{
			"command is a path", "plugin \"llm\" \"a\" {\n  command = \"bin/x\"\n}\n",
			`plugins.hcl:2,13-20: Invalid command; it must be the name of a file in the server's folder or in plugin_dirs, not a path (write the name, and add the folder to plugin_dirs)`,
		},
		{
			"command without quotes", "plugin \"llm\" \"a\" {\n  command = llm\n}\n",
			`plugins.hcl:2,13-16: Unknown word "llm"; only env("NAME") and file("path") are allowed here (put text in quotes)`,
		},
		{
			"number in a string", "plugin \"llm\" \"a\" {\n  command = 5\n}\n",
			`plugins.hcl:2,3-10: Wrong type; command must be a string, not a number (write it in quotes)`,
		},
		{
			"number in a list of strings", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  args = [\"a\", 5]\n}\n",
			`plugins.hcl:3,16-17: Wrong type; args[1] must be a string, not a number (write it in quotes)`,
		},
		{
			"string for a list", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  models = \"gpt-*\"\n}\n",
			`plugins.hcl:3,3-9: Wrong type; models must be a list of strings, not a string (write [ … ])`,
		},
		{
			"empty variable for a bool",
			"plugin \"llm\" \"a\" {\n  command = \"x\"\n  enabled = env(\"AGENTAREA_TEST_EMPTY\")\n}\n",
			`plugins.hcl:3,3-10: Wrong type; enabled must be true or false, not a string (write true or false)`,
		},
		{
			"duplicate", "plugin \"llm\" \"a\" {\n  command = \"x\"\n}\nplugin \"llm\" \"a\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:4,1-17: Duplicate plugin "llm" "a"; line 1 has the same kind and label (give one of them another label)`,
		},
		{
			"models of an agent", "plugin \"agent\" \"a\" {\n  command = \"x\"\n  models = [\"*\"]\n}\n",
			`plugins.hcl:3,3-9: Only an llm plugin has models; this is plugin "agent" "a" (remove the line)`,
		},
		{
			"pattern", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  models = [\"ok\", \"gpt-[34]\"]\n}\n",
			`plugins.hcl:3,19-29: Invalid pattern; only the wildcards * (any text) and ? (one character) are supported, not "gpt-[34]"`,
		},
		{
			"variable name", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  pass_env = [\"A B\"]\n}\n",
			`plugins.hcl:3,15-20: Invalid variable name "A B"; pass_env contains names of environment variables of the server`,
		},
		{
			"sha256", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  sha256 = \"12\"\n}\n",
			`plugins.hcl:3,12-16: Invalid sha256; it must have 64 hexadecimal digits (run agentarea plugins lock to set it)`,
		},
		{
			"max_concurrency of 0", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  max_concurrency = 0\n  retries = 1.5\n}\n",
			"plugins.hcl:3,21-22: Invalid max_concurrency; it must be an integer from 1 to 10000\nplugins.hcl:4,13-16: Invalid retries; it must be an integer from 0 to 10000",
		},
		{
			"retries of an agent type", "plugin \"agent\" \"a\" {\n  command = \"x\"\n  retries = 1\n}\n",
			`plugins.hcl:3,3-10: Only an llm plugin has retries; this is plugin "agent" "a" (remove the line)`,
		},
		{
			"max_memory without a unit that exists", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  max_memory = \"5XB\"\n}\n",
			`plugins.hcl:3,16-21: Invalid max_memory; "5XB" is not a valid size (write 500MB, 2GiB or a number of bytes)`,
		},
		{
			"max_memory that is too small", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  max_memory = \"1MB\"\n}\n",
			`plugins.hcl:3,16-21: Invalid max_memory; it must be at least 32MB`,
		},
		{
			"unknown log_level", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  log_level = \"verbose\"\n}\n",
			`plugins.hcl:3,15-24: Invalid log_level "verbose"; the levels are debug, info, warn, error`,
		},
		{
			"require_checksums of the wrong type", "require_checksums = 1\n",
			`plugins.hcl:1,1-18: Wrong type; require_checksums must be true or false, not a number (write true or false)`,
		},
		{
			"config with an equals sign", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  config = {}\n}\n",
			`plugins.hcl:3,3-9: "config" is a block; it has no value (write config { … })`,
		},
		{
			"two configs", "plugin \"llm\" \"a\" {\n  command = \"x\"\n  config {}\n  config {}\n}\n",
			`plugins.hcl:4,3-9: Duplicate config block; line 3 has another one (merge them)`,
		},
		{
			"unknown function in config",
			"plugin \"llm\" \"a\" {\n  command = \"x\"\n  config {\n    k = getenv(\"A\")\n  }\n}\n",
			`plugins.hcl:4,9-15: Call to unknown function; There is no function named "getenv"`,
		},
		{
			"misspelled file backend", "file_backend = \"locl\"\nplugin \"files\" \"local\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:1,16-22: Unknown file backend "locl"; no files plugin has this label; available: local (did you mean local?)`,
		},
		{
			"unknown file backend", "file_backend = \"s3\"\nplugin \"files\" \"f\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:1,16-20: Unknown file backend "s3"; no files plugin has this label; available: f (add plugin "files" "s3" { … })`,
		},
		{
			"empty file backend", "file_backend = \"\"\nplugin \"files\" \"f\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:1,16-18: Empty file backend; file_backend is the label of a files plugin; available: f (name one, or remove the line)`,
		},
		{
			"null as the file backend", "file_backend = null\n",
			`plugins.hcl:1,16-20: Empty file backend; file_backend is the label of a files plugin (name one, or remove the line)`,
		},
		{
			"file backend of another kind", "file_backend = \"gpt\"\nplugin \"llm\" \"gpt\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:1,16-21: Unknown file backend "gpt"; no files plugin has this label (add plugin "files" "gpt" { … })`,
		},
		{
			"file backend without files plugins", "file_backend = \"s3\"\n",
			`plugins.hcl:1,16-20: Unknown file backend "s3"; no files plugin has this label (add plugin "files" "s3" { … })`,
		},
		{
			"disabled file backend", "file_backend = \"s3\"\nplugin \"files\" \"s3\" {\n  enabled = false\n}\n",
			`plugins.hcl:1,16-20: File backend "s3" is disabled; its block has enabled = false (enable it, or name another one)`,
		},
		{
			"ambiguous file backend",
			"plugin \"files\" \"a\" {\n  command = \"x\"\n}\nplugin \"files\" \"b\" {\n  command = \"x\"\n}\n",
			`plugins.hcl:4,1-19: Missing file_backend; there is more than one enabled files plugin: a, b (write file_backend = "a" at the top of the file)`,
		},
		{
			"file backend of the wrong type", "file_backend = 5\n",
			`plugins.hcl:1,1-13: Wrong type; file_backend must be a string, not a number (write it in quotes)`,
		},
		{
			"several at once", "plugin \"llm\" \"a\" {\n  comand = \"x\"\n  args = 1\n}\nfoo = 1\n",
			`plugins.hcl:1,1-17: Missing command; plugin "llm" "a" has no program (add command = "…")
plugins.hcl:2,3-9: Unknown name "comand"; a plugin block has the settings command, args, enabled, models, pass_env, env, sha256, auto_mtls, max_concurrency, retries, max_memory, log_level, config (did you mean command?)
plugins.hcl:3,3-7: Wrong type; args must be a list of strings, not a number (write [ … ])
plugins.hcl:5,1-4: Unknown name "foo"; plugins.hcl has the settings file_backend, plugin_dirs, require_checksums, plugin`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(tt.src), "plugins.hcl")
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

func TestLoad_missingFile(t *testing.T) {
	t.Parallel()
	_, err := config.Load(filepath.Join(t.TempDir(), "plugins.hcl"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
}

func TestHash(t *testing.T) {
	base := `plugin "llm" "a" {
  command = "x"
  config {
    key = env("AGENTAREA_TEST_KEY")
  }
}`
	t.Setenv("AGENTAREA_TEST_KEY", "one")
	one := parse(t, base).Blocks[0].Hash
	if again := parse(t, "# a comment\n\n"+base).Blocks[0].Hash; again != one {
		t.Error("the hash changes with a comment")
	}
	t.Setenv("AGENTAREA_TEST_KEY", "two")
	if two := parse(t, base).Blocks[0].Hash; two == one {
		t.Error("the hash does not change with a value in the config")
	}
	t.Setenv("AGENTAREA_TEST_KEY", "one")
	if b := parse(t, strings.Replace(base, `"x"`, `"y"`, 1)).Blocks[0].Hash; b == one {
		t.Error("the hash does not change with the command")
	}
}

// The hash is the same for the same text, and changes with the values that the text evaluates to.
func TestHash_stable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(key string) {
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash := func() string {
		c, err := config.Parse([]byte(`plugin "files" "s3" {
  command  = "x"
  pass_env = ["A", "B"]
  env      = { A = "1", B = "2", C = "3" }
  config {
    a = file("key")
    b = { x = 1, y = [true, null], z = "t" }
    nested "label" {
      c = 1
      d = 2
    }
    nested {}
  }
}`), filepath.Join(dir, "plugins.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		return c.Blocks[0].Hash
	}
	write("one")
	one := hash()
	for range 20 {
		if hash() != one {
			t.Fatal("the hash of the same text differs")
		}
	}
	write("two")
	if hash() == one {
		t.Error("the hash does not change with the content of a file()")
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	s := parse(t, `plugin "llm" "a" {
  command = "x"
  models  = ["gpt-*", "o?", "meta-*/*-instruct", "exact"]
}`).Blocks[0]
	for model, want := range map[string]bool{
		"gpt-5": true, "gpt-": true, "gpt": false, "xgpt-5": false,
		"o3": true, "o": false, "o34": false,
		"meta-llama/x/y-instruct": true, "meta-llama/base": false,
		"exact": true, "exact2": false, "": false,
	} {
		if got := s.Serves(model); got != want {
			t.Errorf("Serves(%q) = %v, want %v", model, got, want)
		}
	}
}
