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

// pids gives the process of each plugin by its label.
func (h *testHost) pids() map[string]int {
	out := map[string]int{}
	for _, p := range h.Plugins() {
		out[p.Label] = p.PID
	}
	return out
}

// reload reloads and fails the test when that does.
func (h *testHost) reload(t *testing.T) *core.PluginReload {
	t.Helper()
	report, err := h.Reload(t.Context())
	if err != nil {
		t.Fatalf("Reload: %v", err)
	}
	return report
}

func TestReload(t *testing.T) {
	t.Parallel()
	a, b := stanza("a", ""), stanza("b", "")
	limit := func(label, n string) string { return stanza(label, "", "config {", "limit = "+n, "}") }
	off := "plugin \"llm\" \"b\" {\n  enabled = false\n}"
	old, s3 := filesStanza("old"), filesStanza("s3")
	for _, tt := range []struct {
		name          string
		before, after []string
		// want names started, replaced, stopped, kept and the file backend.
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
			h := start(t, quick, tt.before...)
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
					await(t, 2*time.Second*slow, label+"'s old process ends", func() bool { return gone(pid) })
				}
			}
			if r.FileBackend != "" {
				if label, _, err := h.FileBackend(t.Context(), ""); err != nil || label != r.FileBackend {
					t.Errorf("FileBackend: %q, %v", label, err)
				}
			}
			if got := h.logs.lines(t, "plugins are reloaded"); len(got) != 1 || got[0]["generation"] != float64(r.Generation) {
				t.Errorf("log: %v", got)
			}
		})
	}
}

// When anything fails, every process is the one it was, and nothing new is left.
func TestReloadThatFails(t *testing.T) {
	t.Parallel()
	a, f := stanza("a", ""), filesStanza("f")
	for _, tt := range []struct {
		name  string
		after []string
		code  core.Code
		// want is each issue, or the message of what is unavailable.
		want []string
	}{
		{
			"syntax",
			[]string{"plugin \"llm\" \"a\" {"},
			core.CodeValidation,
			[]string{"FILE:1,18-19: Unclosed configuration block; There is no closing brace for this block before the end of the file. " +
				"This may be caused by incorrect brace nesting elsewhere in this file"},
		},
		{
			"file backend",
			[]string{`file_backend = "s3"`, a, f},
			core.CodeValidation,
			[]string{`FILE:1,16-20: Unknown file backend "s3"; no files plugin has this label, there are: f (add plugin "files" "s3" { … })`},
		},
		{
			"the plugins' own words, and a command",
			[]string{a, f, stanza("b", "", "config {", `refuse = "me"`, "}"), "plugin \"llm\" \"c\" {\n  command = \"gone\"\n}", stanza("d", "exit")},
			core.CodeValidation,
			[]string{
				"FILE:15,3-9: refused; Take the line out",
				`FILE:19,3-10: Command "gone" not found; looked in ` + binDir + " (build it there, or add its folder to plugin_dirs)",
				`the llm plugin "d" does not come up: it ended before it was ready (exit status 3); its last lines: no luck today`,
			},
		},
		{
			"a plugin that does not start",
			[]string{stanza("a", "exit"), f, stanza("b", "")},
			core.CodeUnavailable,
			[]string{`The plugins serve on as they were, because the llm plugin "a" does not come up: ` +
				"it ended before it was ready (exit status 3); its last lines: no luck today"},
		},
		{
			"a plugin that hangs",
			[]string{stanza("a", "freeze-at-start"), f},
			core.CodeUnavailable,
			[]string{`The plugins serve on as they were, because the llm plugin "a" does not come up: it was not ready within 1.5s`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timing := quick
			if tt.name == "a plugin that hangs" {
				timing.Start = 1500 * time.Millisecond
			}
			h := start(t, timing, a, f)
			before := h.pids()
			h.write(t, tt.after...)
			_, err := h.Reload(t.Context())
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
			for _, r := range h.logs.lines(t, "plugin is up") {
				if pid := int(r["pid"].(float64)); !gone(pid) && pid != before["a"] && pid != before["f"] {
					t.Errorf("process %d of %v is left", pid, r["plugin"])
				}
			}
			if len(h.logs.lines(t, "plugins are not reloaded: they serve on as they were")) != 1 {
				t.Error("the log does not say it once")
			}
			if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" {
				t.Errorf("chat: %q, %v", text, err)
			}
			h.write(t, a, f)
			if r := h.reload(t); r.Generation != 1 || len(r.Kept) != 2 {
				t.Errorf("with the file mended: %+v", r)
			}
		})
	}
}

func TestReloadWithoutTheFile(t *testing.T) {
	t.Parallel()
	h := start(t, quick, stanza("a", ""))
	_, err := h.Reload(t.Context())
	var e *core.Error
	if !errors.As(err, &e) || e.Code != core.CodeValidation || len(e.Fields) != 1 || !strings.Contains(e.Fields[0].Issue, "no such file") {
		t.Errorf("err = %v", err)
	}
}

func TestReloadSeesAnotherBinary(t *testing.T) {
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
	h := newTestHost(t, quick)
	text := []string{fmt.Sprintf("plugin_dirs = [%q]", dir), "plugin \"llm\" \"a\" {\n  command = \"script\"\n}"}
	if err := h.Start(t.Context(), parse(t, strings.Join(text, "\n"))); err != nil {
		t.Fatal(err)
	}
	h.write(t, text...)
	if r := h.reload(t); r.Generation != 1 {
		t.Errorf("the same binary: %+v", r)
	}
	script("two")
	if r := h.reload(t); !slices.Equal(r.Replaced, []string{"llm/a"}) {
		t.Errorf("another binary: %+v", r)
	}
	// One that started again by itself has the new binary already.
	script("six")
	pid := h.plugin(t, "a").PID
	_, _ = h.chat(t.Context(), "a", "crash", 0)
	h.running(t, "a", pid)
	if r := h.reload(t); len(r.Kept) != 1 {
		t.Errorf("a binary that runs already: %+v", r)
	}
}

// The stanza is as it was, but its processes come from where the file says now.
func TestReloadOfPluginDirs(t *testing.T) {
	t.Parallel()
	h := start(t, quick, stanza("a", ""))
	shadow := t.TempDir()
	h.write(t, fmt.Sprintf("plugin_dirs = [%q]", shadow), stanza("a", ""))
	h.reload(t)
	if dirs := h.registry.Load().plugins[0].source.Load().dirs; !slices.Contains(dirs, shadow) {
		t.Errorf("it is searched in %v", dirs)
	}
}

func TestReloadTriesAgainWhatIsDown(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	text := []string{stanza("a", "exit-while:"+mark), stanza("b", "")}
	h := start(t, quick, text...)
	failed := func() bool { return h.plugin(t, "a").State == core.PluginFailed }
	await(t, 5*time.Second*slow, "the circuit opens", failed)
	// It does not stand in the way of a reload.
	h.write(t, append(text, stanza("c", ""))...)
	if r := h.reload(t); !slices.Equal(r.Started, []string{"llm/c"}) || !slices.Equal(r.Kept, []string{"llm/a", "llm/b"}) {
		t.Errorf("while it is still down: %+v", r)
	}
	if p := h.plugin(t, "a"); p.State != core.PluginFailed || p.Restarts != 5 {
		t.Errorf("a = %+v, want one more try", p)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if r := h.reload(t); r.Generation != 2 || !slices.Equal(r.Replaced, []string{"llm/a"}) {
		t.Errorf("once it can run: %+v", r)
	}
	if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" {
		t.Errorf("chat: %q, %v", text, err)
	}
}

// A look-up that waits for a process finds the one of the next generation.
func TestReloadReplacesWhatIsDown(t *testing.T) {
	t.Parallel()
	timing := quick
	timing.Backoff = time.Minute
	timing.Wait = 20 * time.Second
	h := start(t, timing, stanza("a", "exit"))
	answer := make(chan error, 1)
	go func() {
		_, err := h.chat(context.Background(), "a", "fine", 1)
		answer <- err
	}()
	h.write(t, stanza("a", ""))
	h.reload(t)
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

// A provider that was looked up before its stanza went is the one that serves
// the model now.
func TestModelOfARemovedProvider(t *testing.T) {
	t.Parallel()
	serves := func(label string) string { return stanza(label, "", `models = ["gpt-*"]`) }
	h := start(t, quick, serves("a"))
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
	h.write(t, stanza("c", "", `models = ["x"]`))
	h.reload(t)
	if _, err := p.Chat(t.Context(), request(name, 0), &texts{}); core.CodeOf(err) != core.CodeValidation {
		t.Errorf("a model that nobody serves any more: %v", err)
	}
}

func TestReloadOfOneThatGoesAway(t *testing.T) {
	t.Parallel()
	h := start(t, quick, stanza("a", ""))
	before := h.pids()
	h.write(t, stanza("a", "freeze-at-start"))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := h.Reload(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	if after := h.pids(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, want %v", after, before)
	}
}
