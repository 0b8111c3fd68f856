package pluginhost

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// filesBlock returns the block of a files plugin.
func filesBlock(label string, lines ...string) string {
	return fmt.Sprintf("plugin \"files\" %q {\n  command = \"badplugin\"\n  env = { BAD = \"files\" }\n  %s\n}",
		label, strings.Join(lines, "\n  "))
}

// backend looks up a files plugin.
func (h *testHost) backend(t *testing.T, label string) files.Backend {
	t.Helper()
	_, b, err := h.FileBackend(t.Context(), label)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, b files.Backend, key, content string) {
	t.Helper()
	s, err := b.Put(t.Context(), key, strings.NewReader(content), files.PutOptions{Size: -1})
	if err != nil || s.Size != int64(len(content)) {
		t.Fatalf("Put: %+v, %v", s, err)
	}
}

func get(t *testing.T, b files.Backend, key string) string {
	t.Helper()
	r, err := b.Get(t.Context(), key, 0, 0)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return string(content)
}

func TestFileBackend(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, `file_backend = "new"`, filesBlock("old"), filesBlock("new"))
	label, b, err := h.FileBackend(t.Context(), "")
	if err != nil || label != "new" {
		t.Fatalf("backend for new files = %q, %v", label, err)
	}
	put(t, b, "a/1", "hello")
	if o, err := b.Stat(t.Context(), "a/1"); err != nil || o.Size != 5 || o.Key != "a/1" {
		t.Errorf("Stat: %+v, %v", o, err)
	}
	if got := get(t, b, "a/1"); got != "hello" {
		t.Errorf("Get: %q", got)
	}
	r, err := b.Get(t.Context(), "a/1", 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, r); err != nil || out.String() != "ell" {
		t.Errorf("Get of a range = %q, %v", &out, err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	for o, err := range b.List(t.Context(), "a", "") {
		if err != nil || o.Key != "a_1" {
			t.Errorf("List: %+v, %v", o, err)
		}
	}
	link, err := b.(files.Presigner).Presign(t.Context(), files.PresignRequest{Key: "k", Expires: time.Minute})
	if err != nil || link != "https://example.com/k?for=1m0s" {
		t.Errorf("Presign: %q, %v", link, err)
	}

	label, old, err := h.FileBackend(t.Context(), "old")
	if err != nil || label != "old" {
		t.Fatalf("backend by label = %q, %v", label, err)
	}
	if _, err := old.Stat(t.Context(), "a/1"); sdk.AsError(err).Code != sdk.CodeNotFound {
		t.Errorf("key of the other backend: got %v, want not_found", err)
	}
	if err := b.Delete(t.Context(), "a/1"); err != nil {
		t.Error(err)
	}
	if _, err := b.Get(t.Context(), "a/1", 0, 0); sdk.AsError(err).Code != sdk.CodeNotFound {
		t.Errorf("deleted key: got %v, want not_found", err)
	}
}

func TestFileBackend_missing(t *testing.T) {
	t.Parallel()
	off := "plugin \"files\" \"off\" {\n  enabled = false\n}"
	for _, tt := range []struct{ name, label, want string }{
		{"none", "", "No files plugin is in plugins.hcl. Add one, set file_backend to its label and reload plugins."},
		{"gone", "s3", `Files plugin "s3" is not in plugins.hcl. Available files plugins: none. Add its block and reload plugins.`},
		{"gone, another is there", "s3", `Files plugin "s3" is not in plugins.hcl. Available files plugins: local. Add its block and reload plugins.`},
		{"off", "off", `Plugin files/off is disabled. Set enabled = true in its block in plugins.hcl and reload plugins.`},
		{"off", "", `Plugin files/off is disabled. Set enabled = true in its block in plugins.hcl and reload plugins.`},
	} {
		blocks := map[string]string{"off": off, "gone, another is there": filesBlock("local")}[tt.name]
		_, _, err := start(t, testTiming, blocks).FileBackend(t.Context(), tt.label)
		var e *core.Error
		if !errors.As(err, &e) || e.Code != core.CodeUnavailable || e.Message != tt.want {
			t.Errorf("%s, label %q: got\n%v, want\n%s", tt.name, tt.label, err, tt.want)
		}
	}
}

func TestCrashDuringPut(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, filesBlock("a", `config {`, `secret = "hunter2-hunter2"`, `}`))
	b := h.backend(t, "")
	before := h.plugin(t, "a")
	_, err := b.Put(t.Context(), "crash", endless{}, files.PutOptions{Size: -1})
	e := sdk.AsError(err)
	if e.Code != sdk.CodePluginCrashed {
		t.Fatalf("err = %v, want plugin_crashed", err)
	}
	if want := `plugin files/a crashed`; e.Message != want {
		t.Errorf("message %q,\nwant     %q", e.Message, want)
	}
	// A value that was looked up before the crash uses the next process.
	put(t, b, "k", "v")
	if got := get(t, h.backend(t, "a"), "k"); got != "v" {
		t.Errorf("after the crash: %q", got)
	}
	h.running(t, "a", before.PID)
}

func TestCrashDuringGet(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, filesBlock("a"))
	b := h.backend(t, "")
	put(t, b, "k", strings.Repeat("x", 32<<20))
	r, err := b.Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := syscall.Kill(h.plugin(t, "a").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, r)
	if e := sdk.AsError(err); e.Code != sdk.CodePluginCrashed || e.Message != `plugin files/a crashed` {
		t.Errorf("err = %v", err)
	}
}

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestSupports(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", "unreachable"))
	for _, model := range []string{"bad-1", "unknown"} {
		if !h.Supports(t.Context(), model, "images") {
			t.Errorf("Supports(%q) = false without a list of models, want true", model)
		}
	}
	h = start(t, testTiming, block("a", ""))
	await(t, "the list comes in the background", func() bool { return !h.Supports(t.Context(), "a/bad-1", "images") })
	for _, tt := range []struct {
		model, capability string
		want              bool
	}{
		{"bad-1", "images", false},
		{"bad-1", "tools", true},
		{"a/bad/2", "images", true}, // the provider lists no capabilities
		{"a/unknown", "images", true},
		{"unknown", "images", true},
	} {
		if got := h.Supports(t.Context(), tt.model, tt.capability); got != tt.want {
			t.Errorf("Supports(%q, %q) = %v, want %v", tt.model, tt.capability, got, tt.want)
		}
	}
}
