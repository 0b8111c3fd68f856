package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// pids returns the process IDs of the plugins by label.
func (h *testHost) pids() map[string]int {
	out := map[string]int{}
	for _, p := range h.Plugins() {
		out[p.Label] = p.PID
	}
	return out
}

// reload reloads plugins.hcl. It fails the test if the reload fails.
func (h *testHost) reload(t *testing.T) *core.PluginReload {
	t.Helper()
	report, err := h.Reload(t.Context(), core.ReloadOptions{})
	if err != nil {
		t.Fatalf("Reload: %v", err)
	}
	return report
}

func TestReload(t *testing.T) {
	t.Parallel()
	a, b := block("a", ""), block("b", "")
	limit := func(label, n string) string { return block(label, "", "config {", "limit = "+n, "}") }
	off := "plugin \"llm\" \"b\" {\n  enabled = false\n}"
	old, s3 := filesBlock("old"), filesBlock("s3")
	for _, tt := range []struct {
		name          string
		before, after []string
		// want holds the generation, the started, replaced, stopped and kept plugins, and
		// the file backend.
		want string
	}{
		{"nothing", []string{a, off, old}, []string{a, off, old}, "1 [] [] [] [llm/a files/old] old"},
		{"comment", []string{a}, []string{"# new\n\n", a}, "1 [] [] [] [llm/a] "},
		{"config", []string{a, limit("b", "1")}, []string{a, limit("b", "2")}, "2 [] [llm/b] [] [llm/a] "},
		{"added", []string{a}, []string{a, b, old}, "2 [llm/b files/old] [] [] [llm/a] old"},
		{"removed", []string{a, b, old}, []string{b}, "2 [] [] [llm/a files/old] [llm/b] "},
		{"all removed", []string{a}, nil, "2 [] [] [llm/a] [] "},
		{"label", []string{a}, []string{b}, "2 [llm/b] [] [llm/a] [] "},
		{"order", []string{a, b}, []string{b, a}, "2 [] [] [] [llm/b llm/a] "},
		{"enabled", []string{a, off}, []string{a, b}, "2 [llm/b] [] [] [llm/a] "},
		{"disabled", []string{a, b}, []string{a, off}, "2 [] [] [llm/b] [llm/a] "},
		{"disabled one added", []string{a}, []string{a, off}, "2 [] [] [] [llm/a] "},
		{
			"file backend",
			[]string{`file_backend = "old"`, old, s3},
			[]string{`file_backend = "s3"`, old, s3},
			"2 [] [] [] [files/old files/s3] s3",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, testTiming, tt.before...)
			before := h.pids()
			h.write(t, tt.after...)
			r := h.reload(t)
			if got := fmt.Sprint(r.Generation, r.Started, r.Replaced, r.Stopped, r.Kept, " ", r.FileBackend); got != tt.want {
				t.Errorf("report %q, want %q", got, tt.want)
			}
			after := h.pids()
			for _, p := range h.Plugins() {
				name := p.Kind + "/" + p.Label
				switch {
				case slices.Contains(r.Kept, name):
					if p.PID != before[p.Label] {
						t.Errorf("%s has another process", name)
					}
				case p.PID == before[p.Label] && p.PID != 0:
					t.Errorf("%s still has its process", name)
				case slices.Contains(r.Started, name) || slices.Contains(r.Replaced, name):
					if p.State != core.PluginRunning {
						t.Errorf("%s is %s", name, p.State)
					}
				}
			}
			for label, pid := range before {
				if pid != 0 && after[label] != pid {
					await(t, label+"'s old process ends", func() bool { return isReaped(pid) })
				}
			}
			if r.FileBackend != "" {
				if label, _, err := h.FileBackend(t.Context(), ""); err != nil || label != r.FileBackend {
					t.Errorf("FileBackend: %q, %v", label, err)
				}
			}
			if got := h.logs.lines(t, "plugins reloaded"); len(got) != 1 || got[0]["generation"] != float64(r.Generation) {
				t.Errorf("got log records %v", got)
			}
		})
	}
}

// TestReload_failureKeepsPlugins checks that a failed reload keeps all processes and leaves
// no new ones.
func TestReload_failureKeepsPlugins(t *testing.T) {
	t.Parallel()
	a, f := block("a", ""), filesBlock("f")
	for _, tt := range []struct {
		name  string
		after []string
		code  core.Code
		// want holds the issues of a validation error, or else the error's message.
		want []string
	}{
		{
			"syntax",
			[]string{"plugin \"llm\" \"a\" {"},
			core.CodeValidation,
			[]string{"FILE:1,18-19: Unclosed configuration block; There is no closing brace for this block before the end " +
				"of the file. " +
				"This may be caused by incorrect brace nesting elsewhere in this file"},
		},
		{
			"file backend",
			[]string{`file_backend = "s3"`, a, f},
			core.CodeValidation,
			[]string{
				`FILE:1,16-20: Unknown file backend "s3"; no files plugin has this label; available: f (add plugin "files" "s3" { … })`,
			},
		},
		{
			"errors of several plugins",
			[]string{
				a, f, block("b", "", "config {", `refuse = "me"`, "}"),
				"plugin \"llm\" \"c\" {\n  command = \"gone\"\n}", block("d", "exit"),
			},
			core.CodeValidation,
			[]string{
				"FILE:15,3-9: refused; Take the line out",
				`FILE:19,3-10: Command "gone" not found; searched in ` + binDir +
					" (build it there, or add its directory to plugin_dirs)",
				`Plugin llm/d failed to start: it exited before it was ready (exit status 3); last stderr: no luck today`,
			},
		},
		{
			"a plugin that does not start",
			[]string{block("a", "exit"), f, block("b", "")},
			core.CodeUnavailable,
			[]string{`Plugin llm/a failed to start: it exited before it was ready (exit status 3); last stderr: no luck today. ` +
				"The previous plugins remain in use."},
		},
		{
			"a plugin that hangs",
			[]string{block("a", "freeze-at-start"), f},
			core.CodeUnavailable,
			[]string{`Plugin llm/a failed to start: killed because it was not ready within 1.5s. ` +
				"The previous plugins remain in use."},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timing := testTiming
			if tt.name == "a plugin that hangs" {
				timing.Start = 1500 * time.Millisecond
			}
			h := start(t, timing, a, f)
			before := h.pids()
			h.write(t, tt.after...)
			_, err := h.Reload(t.Context(), core.ReloadOptions{})
			var e *core.Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Fatalf("err = %v, want %s", err, tt.code)
			}
			got := []string{e.Message}
			if tt.code == core.CodeValidation {
				got = nil
				for _, f := range e.Fields {
					if f.Field != "plugins.hcl" {
						t.Errorf("field %q", f.Field)
					}
					got = append(got, strings.ReplaceAll(f.Issue, h.file, "FILE"))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if after := h.pids(); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("processes %v, want %v", after, before)
			}
			for _, r := range h.logs.lines(t, "plugin started") {
				if pid := int(r["pid"].(float64)); !isReaped(pid) && pid != before["a"] && pid != before["f"] {
					t.Errorf("process %d of %v is still running", pid, r["plugin"])
				}
			}
			if len(h.logs.lines(t, "reloading plugins failed, keeping the previous plugins")) != 1 {
				t.Error("the failure was not logged exactly once")
			}
			if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" {
				t.Errorf("chat: %q, %v", text, err)
			}
			h.write(t, a, f)
			if r := h.reload(t); r.Generation != 1 || len(r.Kept) != 2 {
				t.Errorf("after correcting the file: %+v", r)
			}
		})
	}
}

func TestReload_missingFile(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""))
	_, err := h.Reload(t.Context(), core.ReloadOptions{})
	var e *core.Error
	if !errors.As(err, &e) || e.Code != core.CodeValidation || len(e.Fields) != 1 ||
		!strings.Contains(e.Fields[0].Issue, "no such file") {
		t.Errorf("err = %v", err)
	}
}

func TestReload_changedBinary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := func(comment string) {
		path := filepath.Join(dir, "new")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n# "+comment+"\nexec "+binDir+"/badplugin\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path, filepath.Join(dir, "script")); err != nil {
			t.Fatal(err)
		}
	}
	script("one")
	h := newTestHost(t, testTiming)
	text := []string{fmt.Sprintf("plugin_dirs = [%q]", dir), "plugin \"llm\" \"a\" {\n  command = \"script\"\n}"}
	if err := h.Start(t.Context(), parse(t, strings.Join(text, "\n"))); err != nil {
		t.Fatal(err)
	}
	h.write(t, text...)
	if r := h.reload(t); r.Generation != 1 {
		t.Errorf("same binary: %+v", r)
	}
	script("two")
	if r := h.reload(t); !slices.Equal(r.Replaced, []string{"llm/a"}) {
		t.Errorf("changed binary: %+v", r)
	}
	// A script that no reload has accepted does not start after a crash.
	script("six")
	_, _ = h.chat(t.Context(), "a", "crash", 0)
	await(t, "the replaced script is refused",
		func() bool { return strings.Contains(h.plugin(t, "a").LastError, "reload plugins") })
	if r := h.reload(t); !slices.Equal(r.Replaced, []string{"llm/a"}) {
		t.Errorf("reload after a crash: %+v", r)
	}
	if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" {
		t.Errorf("chat = %q, %v", text, err)
	}
}

// TestReload_pluginDirs checks that an unchanged block uses the new plugin_dirs.
func TestReload_pluginDirs(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""))
	shadow := t.TempDir()
	h.write(t, fmt.Sprintf("plugin_dirs = [%q]", shadow), block("a", ""))
	h.reload(t)
	if dirs := h.registry.Load().plugins[0].source.Load().dirs; !slices.Contains(dirs, shadow) {
		t.Errorf("searched directories = %v", dirs)
	}
}

func TestReloadRestartsFailedPlugins(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	text := []string{block("a", "exit-while:"+mark), block("b", "")}
	h := start(t, testTiming, text...)
	failed := func() bool { return h.plugin(t, "a").State == core.PluginFailed }
	await(t, "the circuit opens", failed)
	// The failed plugin does not fail a reload.
	h.write(t, append(text, block("c", ""))...)
	if r := h.reload(t); !slices.Equal(r.Started, []string{"llm/c"}) || !slices.Equal(r.Kept, []string{"llm/a", "llm/b"}) {
		t.Errorf("while it still fails: %+v", r)
	}
	if p := h.plugin(t, "a"); p.State != core.PluginFailed || p.Restarts != 5 {
		t.Errorf("a = %+v, want one more restart", p)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if r := h.reload(t); r.Generation != 2 || !slices.Equal(r.Replaced, []string{"llm/a"}) {
		t.Errorf("once it can start: %+v", r)
	}
	if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" {
		t.Errorf("chat: %q, %v", text, err)
	}
}

// TestReloadReplacesFailedPlugin checks that a waiting look-up finds the process of the next
// generation.
func TestReloadReplacesFailedPlugin(t *testing.T) {
	t.Parallel()
	timing := testTiming
	timing.Backoff = time.Minute
	timing.Wait = 20 * time.Second
	h := start(t, timing, block("a", "exit"))
	answer := make(chan error, 1)
	go func() {
		_, err := h.chat(context.Background(), "a", "fine", 1)
		answer <- err
	}()
	h.write(t, block("a", ""))
	h.reload(t)
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

// TestModelOfRemovedProvider checks that a provider whose block was removed becomes the one
// that serves the model now.
func TestModelOfRemovedProvider(t *testing.T) {
	t.Parallel()
	serves := func(label string) string { return block(label, "", `models = ["gpt-*"]`) }
	h := start(t, testTiming, serves("a"))
	_, name, p, err := h.Provider(t.Context(), "gpt-5")
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, serves("b"))
	h.reload(t)
	finish, err := p.Chat(t.Context(), request(name, 0), &texts{})
	if err != nil || finish.Model != "gpt-5" {
		t.Errorf("Chat: %+v, %v", finish, err)
	}
	h.write(t, block("c", "", `models = ["x"]`))
	h.reload(t)
	if _, err := p.Chat(t.Context(), request(name, 0), &texts{}); core.CodeOf(err) != core.CodeValidation {
		t.Errorf("model without a provider: got %v", err)
	}
}

func TestReload_canceled(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""))
	before := h.pids()
	h.write(t, block("a", "freeze-at-start"))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := h.Reload(ctx, core.ReloadOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	if after := h.pids(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, want %v", after, before)
	}
}
