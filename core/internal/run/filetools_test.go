package run_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// callTools makes the tool calls that the user's message lists as JSON, and answers with their
// results.
func callTools(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
	var steps []sdk.ToolCall
	if err := json.Unmarshal([]byte(r.Input.Text()), &steps); err != nil {
		return nil, err
	}
	var out []string
	for _, s := range steps {
		got, err := call(&agent.Call{CallTool: &s})
		if err != nil {
			return nil, err
		}
		line := ""
		if got.ToolResult.IsError {
			line = "! "
		}
		for _, p := range got.ToolResult.Parts {
			line += p.Text
			if p.File != nil {
				line += "<" + p.File.Name + ">"
			}
		}
		out = append(out, line)
	}
	m := sdk.Text(sdk.RoleAssistant, strings.Join(out, "\n"))
	return &m, nil
}

func step(name, arguments string) sdk.ToolCall {
	return sdk.ToolCall{ID: "c", Name: "files__" + name, Arguments: arguments}
}

func steps(calls ...sdk.ToolCall) string {
	b, err := json.Marshal(calls)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// answerFiles returns the names of the files in the answers of session s1, one line for each
// answer.
func (env *testEnv) answerFiles() string {
	env.t.Helper()
	messages, _, err := env.db.Messages(env.t.Context(), core.MessageFilter{
		AgentID: env.agent.ID, UserID: env.actor.UserID, SessionID: "s1", Limit: 100,
	})
	if err != nil {
		env.t.Fatal(err)
	}
	var lines []string
	for _, m := range messages {
		if m.Role != sdk.RoleAssistant {
			continue
		}
		var names []string
		for _, p := range m.Parts {
			if p.File != nil {
				names = append(names, p.File.Name)
			}
		}
		lines = append(lines, strings.Join(names, " "))
	}
	return strings.Join(lines, "\n")
}

func newFileToolsEnv(t *testing.T) *testEnv {
	t.Helper()
	env := newEnv(t)
	env.agent.Config = []byte(`{"tools":["files__*"]}`)
	env.plugins.set(loop(callTools), nil)
	return env
}

func TestFileTools_results(t *testing.T) {
	t.Parallel()
	env := newFileToolsEnv(t)
	text := strings.Repeat("ä", 40_000)
	parts := []sdk.Part{
		env.files.put(env.actor, "file-a", "a.txt", "text/plain", []byte("Hello")),
		env.files.put(env.actor, "file-b", "b.txt", "text/plain", []byte("x"+text)),
		env.files.put(env.actor, "file-c", "c.png", "image/png", []byte("PNG")),
		env.files.put(env.actor, "file-d", "d.csv", "text/csv", []byte("a\xffb")),
		env.files.put(env.actor, "file-e", "e.txt", "text/plain", nil),
		env.files.put(env.actor, "file-gone", "g.txt", "text/plain", nil),
	}
	delete(env.files.files, "file-gone")
	env.files.put(env.actor, "file-unnamed", "u.txt", "text/plain", []byte("secret"))
	other := core.Actor{UserID: "user-other"}
	parts = append(parts, env.files.put(other, "file-foreign", "f.txt", "text/plain", []byte("secret")))
	s := env.start()
	for _, c := range []struct {
		call sdk.ToolCall
		want string
	}{
		{step("list", "{}"), `{"files":[{"id":"file-a","name":"a.txt","content_type":"text/plain","size":5},` +
			`{"id":"file-b","name":"b.txt","content_type":"text/plain","size":80001},` +
			`{"id":"file-c","name":"c.png","content_type":"image/png","size":3},` +
			`{"id":"file-d","name":"d.csv","content_type":"text/csv","size":3},` +
			`{"id":"file-e","name":"e.txt","content_type":"text/plain","size":0}]}`},
		{step("read", `{"file_id":"file-a"}`), "Hello"},
		{step("read", `{"file_id":"file-a","offset":1,"length":3.0}`), "ell\n[bytes 1 to 4 of 5; continue with offset 4]"},
		{step("read", `{"file_id":"file-a","offset":3,"length":1000000000}`), "lo"},
		{step("read", `{"file_id":"file-a","offset":5}`), "[no bytes at offset 5: the file has 5 bytes]"},
		{step("read", `{"file_id":"file-a","offset":1e300}`), "[no bytes at offset 9007199254740992: the file has 5 bytes]"},
		{step("read", `{"file_id":"file-b"}`), "x" + text[:65_534] + "\n[bytes 0 to 65535 of 80001; continue with offset 65535]"},
		{step("read", `{"file_id":"file-b","offset":65535}`), text[65_534:]},
		{step("read", `{"file_id":"file-b","offset":1,"length":1}`), "\uFFFD\n[bytes 1 to 2 of 80001; continue with offset 2]"},
		{step("read", `{"file_id":"file-c"}`), "! File \"c.png\" has the type image/png. Only text files can be read."},
		{step("read", `{"file_id":"file-d"}`), "aÿb"},
		{step("read", `{"file_id":"file-e"}`), "[no bytes at offset 0: the file has 0 bytes]"},
		{step("read", `{"file_id":"file-gone"}`), `! This conversation has no file "file-gone".`},
		{step("read", `{"file_id":"file-unnamed"}`), `! This conversation has no file "file-unnamed".`},
		{step("read", `{"file_id":"file-foreign"}`), `! This conversation has no file "file-foreign".`},
		{step("read", ``), `! This conversation has no file "".`},
		{step("read", `{"file_id":"file-a","offset":-1}`), "! Invalid arguments: offset must be at least 0 and length at least 1."},
		{step("read", `{"file_id":"file-a","length":0}`), "! Invalid arguments: offset must be at least 0 and length at least 1."},
		{step("read", `{`), "! Invalid arguments: unexpected end of JSON input."},
		{step("write", `{"name":"n.txt"}`), "! The arguments name and content are required."},
		{step("write", `{"name":"a\nb","content":""}`), "! name: The file name must not contain control characters, such as NUL, line breaks and tabs"},
		{step("write", `{"name":"..","content":""}`), `! name: The file name must not be ".."` + ". Use a name such as report.pdf"},
		{step("write", `{"name":"n.txt","content":"`+strings.Repeat("x", 1<<20+1)+`"}`), "! The content has 1048577 bytes. The limit is 1048576 bytes per file: split it into several files."},
		{step("write", `{"name":"dir\\sub/n.txt","content":"new"}`), "File written.<n.txt>"},
		{step("rename", `{}`), `! There is no tool "files__rename".`},
	} {
		r, err := s.turnWith(core.NewID("session"), append([]sdk.Part{{Text: steps(c.call)}}, parts...)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.wait(r); got != c.want {
			t.Errorf("%.100s(%.100s) = %.200q, want %.200q", c.call.Name, c.call.Arguments, got, c.want)
		}
	}
}

func TestFileTools_writtenFilesBelongToTheAnswer(t *testing.T) {
	t.Parallel()
	env := newFileToolsEnv(t)
	s := env.start()
	r := s.mustTurn("s1", steps(
		step("write", `{"name":"one.md","content":"# One"}`),
		step("write", `{"name":"two.md","content":"# Two"}`), step("list", ""),
	))
	got := s.wait(r)
	equal(t, env.answerFiles(), "one.md two.md")
	m, err := s.Wait(t.Context(), r)
	if err != nil || m.Parts[1].File == nil {
		t.Fatalf("Wait = %+v, %v, want a file as the second part", m, err)
	}
	f := env.files.files[m.Parts[1].File.ID]
	if f.CreatedBy != env.actor.UserID || *m.Parts[1].File != *f.Ref() || !strings.Contains(got, f.ID) {
		t.Errorf("file %+v does not match the answer's part or the list %s", f, got)
	}
	// The next turn of the session can read it, a turn of another session cannot.
	read := steps(step("read", fmt.Sprintf(`{"file_id":%q}`, f.ID)))
	equal(t, s.wait(s.mustTurn("s1", read)), "# One")
	equal(t, s.wait(s.mustTurn("s2", read)), fmt.Sprintf("! This conversation has no file %q.", f.ID))
	equal(t, env.answerFiles(), "one.md two.md\n")
}

// writeAndRead writes a file, reads it, and passes the content to the model.
func writeAndRead(_ context.Context, _ *agent.Run, call callFunc) (*sdk.Message, error) {
	c := step("write", `{"name":"one.md","content":"# One"}`)
	wrote, err := call(&agent.Call{CallTool: &c})
	if err != nil {
		return nil, err
	}
	got, err := call(&agent.Call{ReadFile: &agent.FileRange{FileID: wrote.ToolResult.Parts[1].File.ID, Length: 100}})
	if err != nil {
		return nil, err
	}
	_, err = call(complete("do "+string(got.Data), true))
	return nil, err
}

func TestFileTools_repeatedWriteStoresOneFile(t *testing.T) {
	t.Parallel()
	env := newFileToolsEnv(t)
	env.plugins.set(loop(writeAndRead), &countingModel{})
	stored := make(chan struct{})
	env.files.hold = func(ctx context.Context) {
		close(stored)
		<-ctx.Done()
	}
	first := env.start()
	r := first.mustTurn("s1", "hi")
	<-stored
	first.crash()
	env.files.change(func() { env.files.hold = nil })
	if env.files.count() != 1 {
		t.Fatalf("got %d files before the crash, want 1", env.files.count())
	}
	second := env.start()
	equal(t, second.wait(r), "DO # ONE")
	equal(t, env.answerFiles(), "one.md")
	if n := env.files.count(); n != 1 {
		t.Errorf("got %d files, want 1", n)
	}
}

func TestFileTools_replayedWriteKeepsItsFile(t *testing.T) {
	t.Parallel()
	env := newFileToolsEnv(t)
	model := &countingModel{hold: block}
	env.plugins.set(loop(writeAndRead), model)
	first := env.start()
	r := first.mustTurn("s1", "hi")
	first.watchUntil(r, "token DO")
	first.crash()
	model.release()
	second := env.start()
	equal(t, second.wait(r), "DO # ONE")
	equal(t, env.answerFiles(), "one.md")
	if n := env.files.count(); n != 1 {
		t.Errorf("got %d files, want 1", n)
	}
}

func TestFileTools_cancelledRunKeepsItsFiles(t *testing.T) {
	t.Parallel()
	env := newFileToolsEnv(t)
	env.plugins.set(loop(writeAndRead), &countingModel{hold: block})
	s := env.start()
	r := s.mustTurn("s1", "hi")
	s.watchUntil(r, "token DO")
	if _, err := s.Cancel(t.Context(), nil, env.actor, r.ID); err != nil {
		t.Fatal(err)
	}
	equal(t, env.answerFiles(), "one.md")
}

func TestFileTools_reportFailedWriteToTheModel(t *testing.T) {
	t.Parallel()
	env := newFileToolsEnv(t)
	env.files.fail = &core.Error{
		Code: core.CodePayloadTooLarge, Message: "Your files would be over the limit", Err: fmt.Errorf("private"),
	}
	s := env.start()
	r := s.mustTurn("s1", steps(step("write", `{"name":"n","content":""}`)))
	equal(t, s.wait(r), "! The tool failed: Your files would be over the limit")
	equal(t, env.answerFiles(), "")
}

// The tools of the config enable the file tools. A tool that is not enabled cannot be called.
func TestFileTools_areEnabledByTheConfig(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`{}`:                                "read set pay",
		`{"tools":[]}`:                      "read set pay",
		`{"tools":["*"]}`:                   "files__list files__read files__write read set pay",
		`{"tools":["files__*"]}`:            "files__list files__read files__write read set pay",
		`{"tools":["files__read","x"]}`:     "files__read read set pay",
		`{"tools":["files__[rl]*"]}`:        "files__list files__read read set pay",
		`{"tools":["[","other__*","read"]}`: "read set pay",
		`{"tools":"files__*"}`:              "read set pay",
	} {
		env := newEnv(t)
		env.agent.Config = []byte(config)
		env.toolbox = &fakeTools{calls: map[string]int{}}
		env.plugins.set(loop(func(_ context.Context, _ *agent.Run, call callFunc) (*sdk.Message, error) {
			got, err := call(&agent.Call{ListTools: true})
			if err != nil {
				return nil, err
			}
			names := make([]string, 0, len(got.Tools))
			for _, tool := range got.Tools {
				names = append(names, tool.Name)
				if strings.HasPrefix(tool.Name, "files__") && !json.Valid([]byte(tool.Parameters)) {
					t.Errorf("parameters of %s are not valid JSON: %s", tool.Name, tool.Parameters)
				}
			}
			// A call of a tool that is not enabled goes to the other toolbox.
			c := step("write", `{"name":"n","content":""}`)
			if got, err = call(&agent.Call{CallTool: &c}); err != nil {
				return nil, err
			}
			if other := got.ToolResult.Parts[0].Text == "files__write done"; other == strings.Contains(want, c.Name) {
				t.Errorf("config %s: result %+v is from the wrong toolbox", config, got.ToolResult)
			}
			m := sdk.Text(sdk.RoleAssistant, strings.Join(names, " "))
			return &m, nil
		}), nil)
		s := env.start()
		equal(t, s.wait(s.mustTurn("s1", "hi")), want)
	}
}
