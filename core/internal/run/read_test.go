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

// reading reads the file that the user names, from the offset 2, and answers
// with it.
func reading(_ context.Context, r *agent.Run, call func(*agent.Call) (*agent.Result, error)) (*sdk.Message, error) {
	got, err := call(&agent.Call{ReadFile: &agent.FileRange{FileID: r.Input.Text(), Offset: 2, Length: 3}})
	if err != nil {
		return nil, err
	}
	m := sdk.Text(sdk.RoleAssistant, string(got.Data))
	return &m, nil
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plugins.set(loop(reading), nil)
	files := map[string]sdk.Part{}
	for id, text := range map[string]string{
		"file-long": "0123456789", "file-short": "0123", "file-empty": "", "file-gone": "0123456789", "file-unnamed": "secret",
	} {
		files[id] = w.cabinet.put(w.viewer, id, id, "application/pdf", []byte(text))
	}
	// As an admin might name it, who sees all files.
	files["file-foreign"] = w.cabinet.put(core.Actor{UserID: "user-other"}, "file-foreign", "f", "text/plain", []byte("secret"))
	w.viewer.Role = core.RoleAdmin
	s := w.start()
	delete(w.cabinet.files, "file-gone")
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
		calls, err := w.db.Calls(t.Context(), r.ID)
		if err != nil || len(calls) != 1 || calls[0].Kind != core.CallReadFile {
			t.Fatalf("%+v, %v", calls, err)
		}
		if id == "file-long" && (string(calls[0].Result) != `{"bytes":3}` ||
			string(calls[0].Request) != `{"file_id":"file-long","offset":2,"length":3}`) {
			t.Errorf("recorded %s: %s", calls[0].Request, calls[0].Result)
		}
	}
	// A later turn of the session may read it too, one of another session may not.
	equal(t, s.wait(s.mustTurn("session-file-long", "file-long")), "234")
	equal(t, s.wait(s.mustTurn("another", "file-long")), `UPSTREAM_ERROR: file "file-long" not found`)
}

func TestAReadIsMadeAgainAfterACrash(t *testing.T) {
	t.Parallel()
	const lost = "File \"file-1\" was read before the run was interrupted and is no longer readable: "
	for name, c := range map[string]struct {
		change func(*cabinet)
		// later undoes change while the run waits.
		later func(*cabinet)
		want  string
	}{
		"it is there": {change: func(*cabinet) {}, want: "DO 234"},
		"it is back soon": {
			change: func(c *cabinet) { c.fail = core.Unavailable("away") },
			later:  func(c *cabinet) { c.fail = nil },
			want:   "DO 234",
		},
		"it is deleted": {
			change: func(c *cabinet) { delete(c.files, "file-1") },
			want:   "UPSTREAM_ERROR: " + lost + `file "file-1" not found`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			model := &counting{hold: block}
			w.plugins.set(loop(func(ctx context.Context, r *agent.Run, call func(*agent.Call) (*agent.Result, error)) (*sdk.Message, error) {
				m, err := reading(ctx, r, call)
				if err != nil {
					return nil, err
				}
				_, err = call(complete("do "+m.Text(), true))
				return nil, err
			}), model)
			first := w.start()
			r, err := first.turnWith("s1", sdk.Part{Text: "file-1"}, w.cabinet.put(w.viewer, "file-1", "f", "text/plain", []byte("0123456789")))
			if err != nil {
				t.Fatal(err)
			}
			first.watchUntil(r, "token DO")
			first.die()
			model.release()
			var reads int
			w.cabinet.change(func() { c.change(w.cabinet); reads = w.cabinet.reads })
			second := w.start()
			if c.later != nil {
				for tried := false; !tried; {
					w.cabinet.change(func() { tried = w.cabinet.reads > reads+1 })
				}
				w.cabinet.change(func() { c.later(w.cabinet) })
			}
			equal(t, second.wait(r), c.want)
			if calls, err := w.db.Calls(t.Context(), r.ID); err != nil || strings.Contains(string(calls[0].Result), "234") {
				t.Errorf("recorded %s, %v", calls[0].Result, err)
			}
		})
	}
}

func TestReadsWithoutFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cabinet = nil
	var mu sync.Mutex
	var got []error
	w.plugins.set(loop(func(ctx context.Context, r *agent.Run, call func(*agent.Call) (*agent.Result, error)) (*sdk.Message, error) {
		_, err := reading(ctx, r, call)
		_, toolErr := call(&agent.Call{Complete: &agent.Completion{Model: "m", Messages: []sdk.Message{r.Input}}})
		mu.Lock()
		defer mu.Unlock()
		got = []error{err, toolErr}
		return nil, err
	}), say("ok"))
	s := w.start()
	r, err := s.turnWith("s1", sdk.Part{Text: "file-1"}, sdk.Part{File: &sdk.File{ID: "file-1", MediaType: "text/plain"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, s.wait(r), "SERVICE_UNAVAILABLE: File storage is not configured on this server.")
	for _, err := range got {
		if sdk.AsError(err).Code != sdk.CodeUnavailable {
			t.Error(err)
		}
	}
}
