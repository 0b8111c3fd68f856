package run_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// readInput reads 3 bytes at offset 2 of the file that the user names, and answers with them.
func readInput(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
	got, err := call(&agent.Call{ReadFile: &agent.FileRange{FileID: r.Input.Text(), Offset: 2, Length: 3}})
	if err != nil {
		return nil, err
	}
	m := sdk.Text(sdk.RoleAssistant, string(got.Data))
	return &m, nil
}

func TestReadFile_results(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(readInput), nil)
	files := map[string]sdk.Part{}
	for id, text := range map[string]string{
		"file-long": "0123456789", "file-short": "0123", "file-empty": "",
		"file-gone": "0123456789", "file-unnamed": "secret",
	} {
		files[id] = env.files.put(env.actor, id, id, "application/pdf", []byte(text))
	}
	// An administrator can name the file of another user, but the run must not read it.
	files["file-foreign"] = env.files.put(core.Actor{UserID: "user-other"}, "file-foreign", "f", "text/plain",
		[]byte("secret"))
	env.actor.Role = core.RoleAdmin
	s := env.start()
	delete(env.files.files, "file-gone")
	for id, want := range map[string]string{
		"file-long": "234", "file-short": "23", "file-empty": "",
		"file-gone":    `UPSTREAM_ERROR: file "file-gone" not found`,
		"file-unnamed": `UPSTREAM_ERROR: file "file-unnamed" not found`,
		"file-foreign": `UPSTREAM_ERROR: file "file-foreign" not found`,
		"file-nowhere": `UPSTREAM_ERROR: file "file-nowhere" not found`,
	} {
		parts := []sdk.Part{{Text: id}}
		if id != "file-unnamed" && files[id].File != nil {
			parts = append(parts, files[id])
		}
		r, err := s.turnWith("session-"+id, parts...)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, s.wait(r), want)
		calls, err := env.db.Calls(t.Context(), r.ID)
		if err != nil || len(calls) != 1 || calls[0].Kind != core.CallReadFile {
			t.Fatalf("recorded calls = %+v, %v, want one %s", calls, err, core.CallReadFile)
		}
		if id == "file-long" && (string(calls[0].Result) != `{"bytes":3}` ||
			string(calls[0].Request) != `{"file_id":"file-long","offset":2,"length":3}`) {
			t.Errorf("recorded request %s, result %s", calls[0].Request, calls[0].Result)
		}
	}
	// A later turn of the session can read it too, a turn of another session cannot.
	equal(t, s.wait(s.mustTurn("session-file-long", "file-long")), "234")
	equal(t, s.wait(s.mustTurn("another", "file-long")), `UPSTREAM_ERROR: file "file-long" not found`)
}

func TestReadFile_isRepeatedAfterACrash(t *testing.T) {
	t.Parallel()
	const lost = "File \"file-1\" was read before the run was interrupted and is no longer readable: "
	for name, c := range map[string]struct {
		change func(*fakeFiles)
		// later undoes change while the run waits.
		later func(*fakeFiles)
		want  string
	}{
		"readable": {change: func(*fakeFiles) {}, want: "DO 234"},
		"readable later": {
			change: func(c *fakeFiles) { c.fail = core.Unavailable("away") },
			later:  func(c *fakeFiles) { c.fail = nil },
			want:   "DO 234",
		},
		"deleted": {
			change: func(c *fakeFiles) { delete(c.files, "file-1") },
			want:   "UPSTREAM_ERROR: " + lost + `file "file-1" not found`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			model := &countingModel{hold: block}
			env.plugins.set(loop(func(ctx context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
				m, err := readInput(ctx, r, call)
				if err != nil {
					return nil, err
				}
				_, err = call(complete("do "+m.Text(), true))
				return nil, err
			}), model)
			first := env.start()
			r, err := first.turnWith("s1", sdk.Part{Text: "file-1"},
				env.files.put(env.actor, "file-1", "f", "text/plain", []byte("0123456789")))
			if err != nil {
				t.Fatal(err)
			}
			first.watchUntil(r, "token DO")
			first.crash()
			model.release()
			var reads int
			env.files.change(func() { c.change(env.files); reads = env.files.reads })
			second := env.start()
			if c.later != nil {
				for tried := false; !tried; {
					env.files.change(func() { tried = env.files.reads > reads+1 })
				}
				env.files.change(func() { c.later(env.files) })
			}
			equal(t, second.wait(r), c.want)
			if calls, err := env.db.Calls(t.Context(), r.ID); err != nil || strings.Contains(string(calls[0].Result), "234") {
				t.Errorf("recorded calls = %+v, %v, want none with the content", calls, err)
			}
		})
	}
}

func TestReadFile_withoutFileStorage(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files = nil
	var mu sync.Mutex
	var got []error
	env.plugins.set(loop(func(ctx context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
		_, err := readInput(ctx, r, call)
		_, toolErr := call(&agent.Call{Complete: &agent.Completion{Model: "m", Messages: []sdk.Message{r.Input}}})
		mu.Lock()
		defer mu.Unlock()
		got = []error{err, toolErr}
		return nil, err
	}), say("ok"))
	s := env.start()
	r, err := s.turnWith("s1", sdk.Part{Text: "file-1"}, sdk.Part{File: &sdk.File{ID: "file-1", MediaType: "text/plain"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, s.wait(r), "SERVICE_UNAVAILABLE: File storage is not configured on this server.")
	for _, err := range got {
		if sdk.AsError(err).Code != sdk.CodeUnavailable {
			t.Errorf("got %v, want %s", err, sdk.CodeUnavailable)
		}
	}
}
