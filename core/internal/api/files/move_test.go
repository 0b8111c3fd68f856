package files

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

const goodMove = `{"from":"local","to":"s3"}`

func TestMove(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.move = func(_ context.Context, from, to string, report func(core.MoveProgress)) error {
		if from != "local" || to != "s3" {
			t.Errorf("Move from %q to %q, want local to s3", from, to)
		}
		p := core.MoveProgress{TotalFiles: 103, TotalBytes: 1030}
		report(p)
		for range 100 {
			p.Files, p.Bytes = p.Files+1, p.Bytes+10
			report(p)
		}
		p.Failed = 2
		for id, err := range map[string]error{
			"file-1": core.Unavailable("The backend %q is down", "s3"), "file-2": apitest.ErrPrivate,
		} {
			p.FileID, p.Error = id, err
			report(p)
		}
		return nil
	}
	a := env.Do(t, "root", "POST", "/v1/files/move", goodMove).Want(200)
	got := a.Body.String()
	if n := strings.Count(got, `"type":"progress"`); n < 1 || n > 4 {
		t.Errorf("got %d progress events, want 1 to 4", n)
	}
	if !strings.HasPrefix(got,
		`data: {"type":"progress","files":0,"bytes":0,"total_files":103,"total_bytes":1030,"failed":0}`+"\n\n") {
		t.Errorf("got first event %.200s, want progress 0 of 103 files", got)
	}
	for _, want := range []string{
		`data: {"type":"failed","file_id":"file-1","error":{"code":"SERVICE_UNAVAILABLE","message":"The backend \"s3\" is down",`,
		`data: {"type":"failed","file_id":"file-2","error":{"code":"INTERNAL_ERROR","message":"Internal server error",`,
		`"request_id":"` + a.Header().Get("X-Request-ID") + `"}}` + "\n\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	if !strings.HasSuffix(got,
		"\n\n"+`data: {"type":"end","files":100,"bytes":1000,"total_files":103,"total_bytes":1030,"failed":2}`+"\n\n") {
		t.Errorf("got %s, want an end event with 100 files and 2 failed", got)
	}
	if a.Header().Get("Content-Type") != "text/event-stream" || !strings.Contains(env.Log(), "file_id=file-2") {
		t.Errorf("got headers %v and log %s, want an event stream and the failed file", a.Header(), env.Log())
	}
}

func TestMove_noFiles(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.move = func(context.Context, string, string, func(core.MoveProgress)) error { return nil }
	want := `data: {"type":"end","files":0,"bytes":0,"total_files":0,"total_bytes":0,"failed":0}` + "\n\n"
	if got := env.Do(t, "root", "POST", "/v1/files/move", goodMove).Want(200).Body.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMove_fails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"no such backend": {core.Invalid("to", "There is no file backend %q", "s3"), 400, "VALIDATION_ERROR"},
		"another one":     {core.Conflict("Another move is under way"), 409, "CONFLICT"},
		"down":            {core.Unavailable("The backend is down"), 503, "SERVICE_UNAVAILABLE"},
	} {
		env := newEnv(t)
		late := false
		env.files.move = func(_ context.Context, _, _ string, report func(core.MoveProgress)) error {
			if late {
				report(core.MoveProgress{TotalFiles: 1})
			}
			return c.err
		}
		if f := env.Do(t, "root", "POST", "/v1/files/move", goodMove).Want(c.status).Failure(); string(f.Code) != c.code {
			t.Errorf("%s: got %+v, want code %s", name, f, c.code)
		}
		late = true
		got := env.Do(t, "root", "POST", "/v1/files/move", goodMove, "X-Request-ID: req-1").Want(200).Body.String()
		last := got[strings.LastIndex(strings.TrimSpace(got), "\n\n")+2:]
		if !strings.HasPrefix(last, `data: {"type":"error","error":{"code":"`+c.code+`",`) ||
			!strings.Contains(last, `"request_id":"req-1"`) {
			t.Errorf("%s: got %s, want an error event with code %s at the end", name, got, c.code)
		}
	}
	env := newEnv(t)
	env.files.move = func(context.Context, string, string, func(core.MoveProgress)) error { panic("boom") }
	env.Do(t, "root", "POST", "/v1/files/move", goodMove).Want(500)
	env.Do(t, "ann", "POST", "/v1/files/move", goodMove).Want(403)
	env.Do(t, "root", "POST", "/v1/files/move", `{"from":"local"}`).Want(400)
}

func TestMove_clientDisconnects(t *testing.T) {
	t.Parallel()
	env := newEnv(t, func(o *api.Options, _ *Options) { o.Heartbeat, o.Recheck = time.Millisecond, time.Millisecond })
	ended := make(chan error, 1)
	env.files.move = func(ctx context.Context, _, _ string, report func(core.MoveProgress)) error {
		report(core.MoveProgress{TotalFiles: 1})
		err := apitest.Block(ctx)
		ended <- err
		return err
	}
	env.Tokens["ann"] = env.Tokens["root"]
	res := env.send(t, env.server(t), "POST", "/v1/files/move", strings.NewReader(goodMove),
		"Content-Type: application/json")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("got status %s, want 200", res.Status)
	}
	lines := bufio.NewReader(res.Body)
	for line := ""; line != ": still here\n"; {
		var err error
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	_ = res.Body.Close()
	if err := <-ended; err == nil {
		t.Error("the move continued after the client had disconnected")
	}
}

// A progress event that was delayed to limit the rate is sent after the interval.
func TestMove_sendsLatestProgress(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	seen := make(chan struct{})
	env.files.move = func(_ context.Context, _, _ string, report func(core.MoveProgress)) error {
		report(core.MoveProgress{TotalFiles: 9})
		report(core.MoveProgress{TotalFiles: 9, Files: 1})
		report(core.MoveProgress{TotalFiles: 9, Files: 7})
		<-seen
		return nil
	}
	env.Tokens["ann"] = env.Tokens["root"]
	res := env.send(t, env.server(t), "POST", "/v1/files/move", strings.NewReader(goodMove),
		"Content-Type: application/json")
	lines := bufio.NewReader(res.Body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `"files":7`) {
			break
		}
	}
	close(seen)
	if rest, err := io.ReadAll(lines); err != nil || !strings.Contains(string(rest), `"type":"end","files":7`) {
		t.Errorf("got last events %s (%v), want an end event with 7 files", rest, err)
	}
}
