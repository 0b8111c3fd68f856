package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/files"
)

// generation returns blocks of several kinds whose config contains n.
func generation(n int) []string {
	config := fmt.Sprintf("config {\n  limit = %d\n  }", n)
	return []string{
		block("p", "", config), filesBlock("f", config),
		"plugin \"agent\" \"r\" {\n  command = \"badplugin\"\n  env = { BAD = \"agent\" }\n" + config + "\n}",
	}
}

// TestReloadsUnderLoad checks that reloads fail no call, whether the plugin was looked up
// just now or before the reload.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, generation(0)...)
	first := h.pids()
	put(t, h.backend(t, "f"), "k", "hello")
	held := h.backend(t, "f")
	_, _, heldProvider, err := h.Provider(t.Context(), "bad-1")
	if err != nil {
		t.Fatal(err)
	}
	heldType, err := h.Agent(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}

	var calls atomic.Int64
	work := map[string]func(ctx context.Context, n int) error{
		"Stat": func(ctx context.Context, _ int) error {
			_, b, err := h.FileBackend(ctx, "")
			if err != nil {
				return err
			}
			_, err = b.Stat(ctx, "k")
			return err
		},
		"Stat after an old look-up": func(ctx context.Context, _ int) error {
			_, err := held.Stat(ctx, "k")
			return err
		},
		"Get": func(ctx context.Context, _ int) error {
			_, b, err := h.FileBackend(ctx, "f")
			if err != nil {
				return err
			}
			r, err := b.Get(ctx, "k", 0, 0)
			if err != nil {
				return err
			}
			time.Sleep(5 * time.Millisecond)
			content, err := io.ReadAll(r)
			if err == nil && string(content) != "hello" {
				err = fmt.Errorf("got %q", content)
			}
			return errors.Join(err, r.Close())
		},
		"Put": func(ctx context.Context, n int) error {
			_, b, err := h.FileBackend(ctx, "")
			if err != nil {
				return err
			}
			_, err = b.Put(ctx, fmt.Sprint("new", n%8), strings.NewReader("hello"), files.PutOptions{Size: 5})
			return err
		},
		"List": func(ctx context.Context, _ int) error {
			for _, err := range held.List(ctx, "k", "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Chat": func(ctx context.Context, _ int) error {
			_, err := h.chat(ctx, "p", "fine", 3)
			return err
		},
		"Chat by a listed name": func(ctx context.Context, _ int) error {
			_, name, p, err := h.Provider(ctx, "bad-1")
			if err != nil {
				return err
			}
			_, err = p.Chat(ctx, request(name, 1), &texts{})
			return err
		},
		"Chat after an old look-up": func(ctx context.Context, _ int) error {
			_, err := heldProvider.Chat(ctx, request("bad-1", 1), &texts{})
			return err
		},
		"Run": func(ctx context.Context, n int) error {
			r := heldType
			if n%2 == 0 {
				var err error
				if r, err = h.Agent(ctx, "r"); err != nil {
					return err
				}
			}
			_, err := r.Run(ctx, &agent.Run{ID: "run-1"}, handler(func() (*agent.Result, error) {
				_, err := h.chat(ctx, "p", "fine", 1)
				return &agent.Result{Answer: &agent.Answer{}}, err
			}))
			return err
		},
		"status": func(ctx context.Context, _ int) error {
			for _, p := range h.Plugins() {
				if p.State != core.PluginRunning {
					return fmt.Errorf("%s is %s", p.Label, p.State)
				}
			}
			if types := h.AgentTypes(); len(types) != 1 || !types[0].Available {
				return fmt.Errorf("types: %+v", types)
			}
			if models := h.Models(ctx); len(models) != 2 {
				return fmt.Errorf("models: %+v", models)
			}
			if broken := h.Broken([]core.Dependency{{Type: "r", Model: "p/m"}}); len(broken) > 0 {
				return errors.New("an agent is reported as broken")
			}
			return h.CheckModel(ctx, "model", "bad-1")
		},
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for name, f := range work {
		for range 2 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					if err := f(t.Context(), n); err != nil {
						t.Errorf("%s, call %d: %v", name, n, err)
						return
					}
					calls.Add(1)
				}
			})
		}
	}
	for n := range 20 {
		h.write(t, generation(n+1)...)
		if r := h.reload(t); len(r.Replaced) != 3 || r.Generation != uint64(n)+2 {
			t.Errorf("reload %d: %+v", n, r)
		}
	}
	stop()
	wg.Wait()
	t.Logf("%d calls", calls.Load())
	for label, pid := range first {
		await(t, label+"'s first process exits", func() bool { return isReaped(pid) })
	}
	await(t, "only the last generation is left", func() bool { return len(h.draining.all()) == 0 })
	for _, message := range []string{
		"plugin exited", "canceling calls of a replaced or removed plugin", "plugin did not stop gracefully",
	} {
		if lines := h.logs.lines(t, message); len(lines) > 0 {
			t.Errorf("got log records %v", lines[0])
		}
	}
}

// TestTransfersSurviveReload checks that a transfer finishes on its process, which exits afterwards.
func TestTransfersSurviveReload(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, generation(1)...)
	b := h.backend(t, "f")
	old := h.plugin(t, "f").PID
	put(t, b, "k", strings.Repeat("x", 16<<20))
	reader, err := b.Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	content, upload := io.Pipe()
	stored := make(chan error, 1)
	go func() {
		s, err := b.Put(context.Background(), "new", content, files.PutOptions{Size: -1})
		if err == nil && s.Size != 6 {
			err = fmt.Errorf("stored %d bytes", s.Size)
		}
		stored <- err
	}()
	if _, err := io.WriteString(upload, "abc"); err != nil {
		t.Fatal(err)
	}

	h.write(t, generation(2)...)
	h.reload(t)
	if now := h.plugin(t, "f").PID; now == old || len(h.Plugins()) != 3 {
		t.Errorf("Plugins() = %+v", h.Plugins())
	}
	if got := get(t, b, "k"); len(got) != 16<<20 {
		t.Errorf("the new process returned %d bytes", len(got))
	}
	if isReaped(old) {
		t.Fatal("the old process exited during its calls")
	}
	if _, err := io.WriteString(upload, "def"); err != nil {
		t.Fatal(err)
	}
	_ = upload.Close() // an io.PipeWriter
	if err := <-stored; err != nil {
		t.Errorf("upload: %v", err)
	}
	if n, err := io.Copy(io.Discard, reader); err != nil || n != 16<<20 {
		t.Errorf("download: %d bytes, %v", n, err)
	}
	if isReaped(old) {
		t.Error("the old process exited before the reader was closed")
	}
	reader.Close()
	await(t, "the old process exits", func() bool { return isReaped(old) })
}

func TestListSurvivesReload(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, generation(1)...)
	b := h.backend(t, "f")
	put(t, b, "k", "v")
	old := h.plugin(t, "f").PID
	for _, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		h.write(t, generation(2)...)
		h.reload(t)
		if isReaped(old) {
			t.Error("the old process exited during a list")
		}
	}
	await(t, "the old process exits", func() bool { return isReaped(old) })
}

func TestDrainLimits(t *testing.T) {
	t.Parallel()
	timing := testTiming
	timing.Drain, timing.DrainRuns = 300*time.Millisecond, time.Hour
	h := start(t, timing, generation(1)...)
	before := h.pids()
	begun, finish := make(chan struct{}), make(chan struct{})
	ran := make(chan error, 1)
	runner, err := h.Agent(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := runner.Run(context.Background(), &agent.Run{ID: "run-1"}, handler(func() (*agent.Result, error) {
			close(begun)
			<-finish
			return &agent.Result{Answer: &agent.Answer{}}, nil
		}))
		ran <- err
	}()
	<-begun
	chatted := make(chan error, 1)
	_, name, p, err := h.Provider(t.Context(), "p/wait")
	if err != nil {
		t.Fatal(err)
	}
	streams := make(chan struct{})
	go func() {
		r := request(name, 1)
		r.Stream = true
		_, err := p.Chat(context.Background(), r, sendFunc(func() { close(streams) }))
		chatted <- err
	}()
	<-streams

	h.write(t, generation(2)...)
	h.reload(t)
	e := sdk.AsError(<-chatted)
	if want := `plugin llm/p was stopped during the call`; e.Code != sdk.CodePluginCrashed || e.Message != want {
		t.Errorf("call past the limit: got %v", e)
	}
	await(t, "its process exits", func() bool { return isReaped(before["p"]) })
	if lines := h.logs.lines(t, "canceling calls of a replaced or removed plugin"); len(lines) != 1 ||
		lines[0]["calls"] != 1.0 {
		t.Errorf("got log records %v", lines)
	}
	if isReaped(before["r"]) {
		t.Error("the run was canceled, although its limit is longer")
	}
	close(finish)
	if err := <-ran; err != nil {
		t.Errorf("run: %v", err)
	}
	await(t, "the run's process exits", func() bool { return isReaped(before["r"]) })
}

func TestDrainingPluginIsNotRestarted(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, generation(1)...)
	b := h.backend(t, "f")
	put(t, b, "k", "v")
	old := h.plugin(t, "f").PID
	reader, err := b.Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, generation(2)...)
	h.reload(t)
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "its exit is detected", func() bool { return len(h.logs.lines(t, "plugin exited")) == 1 })
	for range 100 {
		get(t, b, "k") // long enough for a start
	}
	reader.Close()
	await(t, "it has been drained", func() bool { return len(h.draining.all()) == 0 })
	if up := h.logs.lines(t, "plugin started"); len(up) != 6 {
		t.Errorf("got %d started processes, want 6", len(up))
	}
}

// TestReloadBetweenLookUpAndCall checks that the call then uses the new process.
func TestReloadBetweenLookUpAndCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		// busy keeps the old process alive with another call.
		busy bool
	}{{"the old process has exited", false}, {"the old process is draining", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, testTiming, generation(1)...)
			old := h.plugin(t, "f").PID
			b := h.backend(t, "f")
			put(t, b, "k", "v")
			var reader io.Closer = io.NopCloser(nil)
			if tt.busy {
				var err error
				if reader, err = b.Get(t.Context(), "k", 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			looks := 0
			i, err := h.begin(t.Context(), func(r *registry) (*supervisor, error) {
				s, err := r.backend("f")
				if looks++; looks == 1 {
					h.write(t, generation(2)...)
					h.reload(t)
					if !tt.busy {
						await(t, "the old process exits", func() bool { return isReaped(old) && len(h.draining.all()) == 0 })
					}
				}
				return s, err
			})
			if err != nil {
				t.Fatal(err)
			}
			defer i.end()
			if now := i.proc.cmd.Process.Pid; now == old || looks != 2 {
				t.Errorf("the call is on the old process after %d look-ups", looks)
			}
			reader.Close()
			await(t, "the old process exits", func() bool { return isReaped(old) })
		})
	}
}

func TestCloseWaitsForDrainingPlugins(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, generation(1)...)
	before := h.pids()
	b := h.backend(t, "f")
	put(t, b, "k", "v")
	reader, err := b.Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, generation(2)...)
	h.reload(t)
	after := h.pids()
	closed := make(chan error, 1)
	go func() { closed <- h.Close(context.Background()) }()
	<-h.lifetime.Done()
	if _, err := h.Reload(t.Context(), core.ReloadOptions{}); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Reload after Close: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("Close did not wait: returned %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if got, err := io.ReadAll(reader); err != nil || string(got) != "v" {
		t.Errorf("download: %q, %v", got, err)
	}
	reader.Close()
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	for label := range before {
		if !isReaped(before[label]) || !isReaped(after[label]) {
			t.Errorf("%s is still running", label)
		}
	}
}

func TestCloseCancelsCallsOfDrainingPlugins(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, generation(1)...)
	old := h.plugin(t, "f").PID
	b := h.backend(t, "f")
	put(t, b, "k", "v")
	reader, err := b.Get(t.Context(), "k", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	h.write(t, generation(2)...)
	h.reload(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); err == nil || err.Error() != "canceled plugin calls: 1" {
		t.Errorf("Close: %v", err)
	}
	if !isReaped(old) {
		t.Error("the old process is still running")
	}
	if _, err := b.Stat(t.Context(), "k"); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("call after Close: got %v", err)
	}
}

func TestCloseEndsReload(t *testing.T) {
	t.Parallel()
	h := start(t, noTimers, block("a", ""))
	h.write(t, block("a", ""), block("b", "freeze-at-start"), block("c", ""))
	outcome := make(chan error, 1)
	go func() {
		_, err := h.Reload(context.Background(), core.ReloadOptions{})
		outcome <- err
	}()
	await(t, "the reload is in progress", func() bool { return len(h.logs.lines(t, "plugin started")) == 2 })
	if err := h.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-outcome; core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Reload: %v", err)
	}
	for _, r := range h.logs.lines(t, "plugin started") {
		if pid := int(r["pid"].(float64)); !isReaped(pid) {
			t.Errorf("process %d is still running", pid)
		}
	}
}
