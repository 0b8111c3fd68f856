package pluginhost

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
)

// install copies a file to path as a new file, as install and mv do.
func install(t *testing.T, from, path string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", content, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// startCopy starts a host whose plugin p is a copy of badplugin, and returns the path of the copy.
func startCopy(t *testing.T, pinned bool) (*testHost, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "copied")
	install(t, filepath.Join(binDir, "badplugin"), path)
	sum := ""
	if pinned {
		sum = fmt.Sprintf("sha256 = %q", sha256Of(t, path))
	}
	h := newTestHost(t, testTiming)
	h.write(t, fmt.Sprintf("plugin_dirs = [%q]\nplugin \"llm\" \"p\" {\n  command = \"copied\"\n  %s\n}", dir, sum))
	cfg, err := h.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return h, path
}

func killPlugin(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedBinaryDoesNotStartAfterCrash(t *testing.T) {
	t.Parallel()
	for _, pinned := range []bool{false, true} {
		t.Run(fmt.Sprintf("pinned=%t", pinned), func(t *testing.T) {
			t.Parallel()
			h, path := startCopy(t, pinned)
			install(t, "/bin/false", path) // crashes at the start, and has another checksum
			if _, err := h.Reload(t.Context(), core.ReloadOptions{}); err == nil {
				t.Fatal("the reload accepts the binary")
			}
			for range 2 {
				before := h.plugin(t, "p").PID
				killPlugin(t, before)
				h.running(t, "p", before)
				if text, err := h.chat(t.Context(), "p", "fine", 2); err != nil || text != "01" {
					t.Errorf("chat after the crash = %q, %v, want an answer of the verified binary", text, err)
				}
			}
			// A good binary starts with the next reload. The pinned one is the same again.
			install(t, filepath.Join(binDir, "badplugin"), path)
			before := h.plugin(t, "p").PID
			if _, err := h.Reload(t.Context(), core.ReloadOptions{}); err != nil {
				t.Fatal(err)
			}
			h.running(t, "p", before)
		})
	}
}

func TestReplacedScriptIsRefused(t *testing.T) {
	t.Parallel()
	h := newTestHost(t, testTiming)
	dir := t.TempDir()
	path := filepath.Join(dir, "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec "+binDir+"/badplugin\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	install(t, path, filepath.Join(dir, "good"))
	h.write(t, fmt.Sprintf("plugin_dirs = [%q]\nplugin \"llm\" \"p\" {\n  command = \"script\"\n}", dir))
	cfg, err := h.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	before := h.plugin(t, "p").PID
	killPlugin(t, before)
	h.running(t, "p", before) // an unchanged script restarts
	install(t, "/bin/false", path)
	killPlugin(t, h.plugin(t, "p").PID)
	await(t, "the changed script is refused", func() bool {
		return strings.Contains(h.plugin(t, "p").LastError, "was changed after the last reload; reload plugins")
	})
	// Users and the log learn that another start does not help, and what does.
	_, err = h.chat(t.Context(), "p", "fine", 1)
	const want = "Plugin llm/p is down, because its program was changed after the last reload. An administrator must reload " +
		"plugins to check and start the new one."
	if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), want) {
		t.Errorf("chat = %v, want Unavailable with %q", err, want)
	}
	await(t, "further starts", func() bool { return h.plugin(t, "p").Restarts >= 4 })
	if lines := h.logs.lines(t, "plugin stays down until plugins are reloaded"); len(lines) != 1 {
		t.Errorf("the log has %d lines about the changed program, want 1: %v", len(lines), lines)
	}
	install(t, filepath.Join(dir, "good"), path)
	if _, err := h.Reload(t.Context(), core.ReloadOptions{}); err != nil {
		t.Fatal(err)
	}
	if text, err := h.chat(t.Context(), "p", "fine", 2); err != nil || text != "01" {
		t.Errorf("chat after the reload = %q, %v, want an answer", text, err)
	}
}

func TestOverwrittenBinaryIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, pinned := range []bool{false, true} {
		write("first")
		block := &config.Block{Kind: "llm", Label: "p", Command: "p"}
		if pinned {
			block.SHA256 = sha256Of(t, path)
		}
		b, err := openBinary(block, []string{filepath.Dir(path)})
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		if err := b.unchanged(); err != nil {
			t.Errorf("unchanged = %v, want nil", err)
		}
		write("other!")
		if pinned { // same size and time
			write("other")
			if err := os.Chtimes(path, b.modified, b.modified); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.unchanged(); err == nil {
			t.Errorf("pinned %t: unchanged = nil for an overwritten file, want an error", pinned)
		}
	}
}

func TestRequireChecksumsRefusesInterpreters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec "+binDir+"/badplugin\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/sh", filepath.Join(dir, "renamed")); err != nil {
		t.Fatal(err)
	}
	install(t, "/bin/false", filepath.Join(dir, "python3.12"))
	for command, want := range map[string]string{
		"script":     "is a script, whose interpreter and modules are other files",
		"renamed":    "is an interpreter, whose programs are other files",
		"python3.12": "is an interpreter, whose programs are other files",
	} {
		h := newTestHost(t, testTiming)
		cfg := parse(t, fmt.Sprintf("require_checksums = true\nplugin \"llm\" \"p\" {\n  command = %q\n  sha256 = %q\n}",
			command, sha256Of(t, filepath.Join(dir, command))))
		cfg.PluginDirs = []string{dir}
		err := h.Start(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), "plugins.hcl:3") || !strings.Contains(err.Error(), want) {
			t.Errorf("Start with %s = %v, want an error at line 3 with %q", command, err, want)
		}
	}
}
