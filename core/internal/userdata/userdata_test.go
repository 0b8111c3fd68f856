package userdata

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// fakes are the dependencies of a Service. They record the calls.
type fakes struct {
	core.UserDataStore
	calls    []string
	sessions int
	err      error
	openErr  error
}

func (f *fakes) call(format string, args ...any) {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fakes) BeginUserDeletion(_ context.Context, d core.UserDeletion) error {
	f.call("begin %s>%s", d.UserID, d.TransferTo)
	return f.err
}

func (f *fakes) EraseUserSessions(_ context.Context, _ string, limit int) (int, error) {
	n := min(limit, f.sessions)
	f.sessions -= n
	f.call("sessions %d", n)
	return n, nil
}

func (f *fakes) MCPServerIDs(context.Context, string) ([]string, error) {
	return []string{"server-1", "server-2"}, nil
}

func (f *fakes) FinishUserDeletion(ctx context.Context, audit *core.AuditRecord, d core.UserDeletion) error {
	f.call("finish %s>%s %t", d.UserID, d.TransferTo, audit != nil)
	return ctx.Err()
}

func (f *fakes) Delete(
	_ context.Context, audit *core.AuditRecord, _ core.Actor, id string, _ core.MCPServerDeletion,
) error {
	f.call("server %s %t", id, audit != nil)
	return core.NotFound("MCP server", id)
}

func (f *fakes) Sweep() { f.call("sweep") }

func (f *fakes) Files(_ context.Context, v core.Actor, filter core.FileFilter) ([]*core.File, int, error) {
	if v.Admin() || filter.Offset > 0 {
		return nil, 0, nil
	}
	return []*core.File{{ID: "file-1", Name: "../a:b.txt"}, {ID: "file-2", Name: ".."}}, 2, nil
}

func (f *fakes) ExportUser(_ context.Context, userID string, row func(string, json.RawMessage) error) error {
	return errors.Join(
		row("user", json.RawMessage(`{"id":"`+userID+`"}`)),
		row("runs", json.RawMessage(`{"n":1}`)), row("runs", json.RawMessage(`{"n":2}`)))
}

type content struct{ io.ReadSeeker }

func (content) Close() error { return nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)       { return 0, f.err }
func (f failing) Seek(int64, int) (int64, error) { return 0, f.err }

func (f *fakes) Open(_ context.Context, file *core.File) io.ReadSeekCloser {
	if f.openErr != nil {
		return content{failing{f.openErr}}
	}
	return content{strings.NewReader("content of " + file.ID)}
}

func newService(f *fakes) *Service {
	return New(Options{Store: f, FileStore: f, Servers: f, Files: f, Forget: func() { f.call("forget") }})
}

var root = core.Actor{UserID: "user-root", Role: core.RoleAdmin}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to   string
		err  error
		want []string
	}{
		"erase": {"", nil, []string{
			"begin user-1>", "forget", "sessions 5", "sessions 2",
			"sessions 0", "server server-1 false", "server server-2 false",
			"finish user-1> true", "forget", "sweep",
		}},
		"transfer": {"user-2", nil, []string{"begin user-1>user-2", "forget", "finish user-1>user-2 true", "forget", "sweep"}},
		"refused":  {"", core.Conflict("busy"), []string{"begin user-1>", "forget"}},
	} {
		f := &fakes{sessions: 7, err: c.err}
		err := newService(f).DeleteUser(t.Context(), &core.AuditRecord{}, root, "user-1", c.to)
		if !errors.Is(err, c.err) || !slices.Equal(f.calls, c.want) {
			t.Errorf("%s: DeleteUser() = %v after the calls %q, want %v after %q", name, err, f.calls, c.err, c.want)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := newService(&fakes{}).Export(t.Context(), "user-1", &b); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(text)
	}
	want := map[string]string{
		"user.jsonl": "{\"id\":\"user-1\"}\n", "runs.jsonl": "{\"n\":1}\n{\"n\":2}\n",
		"files/file-1/.._a_b.txt": "content of file-1", "files/file-2/file": "content of file-2",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the archive has %q, want %q", got, want)
	}
}

func TestExport_fails(t *testing.T) {
	t.Parallel()
	away := core.Unavailable("the backend is away")
	if err := newService(&fakes{openErr: away}).Export(t.Context(), "user-1", io.Discard); !errors.Is(err, away) {
		t.Errorf("Export() with a file that cannot be read = %v, want %v", err, away)
	}
}
