package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func TestFilesAreListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.files.add("file-1", "user-ann", "Report.pdf", []byte("%PDF-1.7"))
	b.files.add("file-2", "user-ann", "notes.txt", []byte("notes"))
	b.files.add("file-3", "user-bob", "his.txt", []byte("his"))
	for query, want := range map[string]string{
		"": "file-2 file-1", "name=rEPO": "file-1", "content_type=application/pdf": "file-1", "content_type=TEXT/*": "file-2",
		"name=none": "", "limit=1&offset=1": "file-1",
	} {
		list := b.do(t, "ann", "GET", "/v1/files?"+query, "").want(200).json()
		var ids []string
		for _, f := range list["files"].([]any) {
			ids = append(ids, f.(map[string]any)["id"].(string))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s gives %s", query, got)
		}
	}
	if got := b.do(t, "root", "GET", "/v1/files/", "").json(); got["total"] != 3.0 || got["limit"] != 20.0 || got["offset"] != 0.0 {
		t.Errorf("an admin's list is %v", got)
	}
	if s := strings.TrimSpace(b.do(t, "eve", "GET", "/v1/files/", "").want(200).Body.String()); s != `{"files":[],"total":0,"limit":20,"offset":0}` {
		t.Errorf("an empty list is %s", s)
	}
	got := b.do(t, "ann", "GET", "/v1/files/file-2", "").want(200)
	want := `{"id":"file-2","name":"notes.txt","size":5,"content_type":"text/plain; charset=utf-8","sha256":"`
	if s := got.Body.String(); !strings.HasPrefix(s, want) || got.Header().Get("ETag") != `"v1"` {
		t.Errorf("got %s with %v", s, got.Header())
	}
}

func TestFilesAreChanged(t *testing.T) {
	t.Parallel()
	same := `{"n":12345678901234567890,"keep":"<b>"}`
	for name, c := range map[string]struct{ patch, name, metadata string }{
		"name":               {`{"name":"b.txt"}`, "b.txt", same},
		"name with a folder": {`{"name":"docs/b.txt"}`, "b.txt", same},
		"nothing":            {`{}`, "a.txt", same},
		"metadata is merged": {`{"metadata":{"n":null,"new":{"x":1,"y":null}}}`, "a.txt", `{"keep":"<b>","new":{"x":1}}`},
		"digits stay":        {`{"metadata":{"keep":"&"}}`, "a.txt", `{"keep":"&","n":12345678901234567890}`},
		"metadata goes":      {`{"metadata":null}`, "a.txt", `{}`},
		"both":               {`{"metadata":{"keep":null,"n":null},"name":"שלום.txt"}`, "שלום.txt", `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.files.add("file-1", "user-ann", "a.txt", []byte("a"))
			a := b.do(t, "ann", "PATCH", "/v1/files/file-1", c.patch, "Content-Type: application/merge-patch+json", `If-Match: "v1"`).want(200)
			f := b.files.files["file-1"]
			if f.Name != c.name || string(f.Metadata) != c.metadata || f.Version != 2 || !f.UpdatedAt.After(fileTime) {
				t.Errorf("it is %+v with %s", f, f.Metadata)
			}
			if got := a.json(); got["name"] != c.name || a.Header().Get("ETag") != `"v2"` || got["created_at"] == got["updated_at"] {
				t.Errorf("the reply is %s with %v", a.Body, a.Header())
			}
			b.do(t, "ann", "PATCH", "/v1/files/file-1", c.patch, `If-Match: "v1"`).want(412)
		})
	}
}

func TestBadChangesOfFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	full := strings.Repeat("<", 60<<10)
	for _, who := range []string{"ann", "eve"} {
		b.files.add("file-"+who, "user-"+who, "a.txt", []byte("a")).Metadata = json.RawMessage(`{"a":"` + full + `"}`)
	}
	for patch, want := range map[string]struct {
		status int
		field  string
		issue  string
	}{
		`{"name":null}`:                            {400, "name", "Field is required"},
		`{"name":7}`:                               {400, "name", "Must be a string"},
		`{"name":""}`:                              {400, "name", "must not be empty"},
		`{"name":"a/.."}`:                          {400, "name", "must not be"},
		`{"name":"a\nb"}`:                          {400, "name", "control"},
		`{"name":"a\u0000b"}`:                      {400, "name", "NUL"},
		`{"name":"\u202eb"}`:                       {400, "name", "reorder"},
		`{"metadata":[]}`:                          {400, "metadata", "Must be an object"},
		`{"metadata":"a"}`:                         {400, "metadata", "Must be an object"},
		`{"metadata":{"a":["\u0000"]}}`:            {400, "metadata.a[0]", "NUL"},
		`{"metadata":{"b":"` + full[:6000] + `"}}`: {413, "metadata", "at most 65536"},
		`{"size":7}`:                               {400, "size", "Unknown field: there are metadata, name"},
		`[]`:                                       {400, "body", "Must be an object"},
	} {
		f := b.do(t, "ann", "PATCH", "/v1/files/file-ann", patch).want(want.status).failure()
		if f.Details.Field != want.field || !strings.Contains(f.Details.Issue, want.issue) {
			t.Errorf("%.60s: got %+v", patch, f)
		}
	}
	// What is as long as it may be stays so when something else changes.
	b.do(t, "ann", "PATCH", "/v1/files/file-ann", `{"name":"b"}`).want(200)
	b.do(t, "ann", "PATCH", "/v1/files/file-ann", `{"metadata":{"b":1}}`).want(200)
	b.do(t, "eve", "PATCH", "/v1/files/file-eve", `{"name":"b"}`).want(403)
	b.do(t, "eve", "DELETE", "/v1/files/file-eve", "").want(403)
	b.do(t, "ann", "GET", "/v1/files/?content_type=text", "").want(400)
	b.do(t, "ann", "GET", "/v1/files/?content_type=text/html;charset=utf-8", "").want(400)
}

func TestAChangeOfAFileThatLosesARaceIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.files.add("file-1", "user-ann", "a.txt", []byte("a"))
	b.files.races = 3
	if a := b.do(t, "ann", "PATCH", "/v1/files/file-1", `{"name":"b"}`).want(200); a.Header().Get("ETag") != `"v5"` {
		t.Errorf("the ETag is %s", a.Header().Get("ETag"))
	}
	b.files.races = 1
	f := b.do(t, "ann", "PATCH", "/v1/files/file-1", `{"name":"c"}`, `If-Match: "v5"`).want(412).failure()
	if f.Message != "The file has changed meanwhile: read it again" {
		t.Errorf("got %+v", f)
	}
}

func TestFilesAreDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.files.add("file-1", "user-ann", "a.txt", []byte("a"))
	b.files.add("file-2", "user-ann", "a.txt", []byte("a"))
	b.do(t, "ann", "DELETE", "/v1/files/file-1", "", `If-Match: "v2"`).want(412)
	b.do(t, "ann", "DELETE", "/v1/files/file-1", "", `If-Match: "v1"`).want(204)
	b.do(t, "ann", "DELETE", "/v1/files/file-2", "").want(204)
	b.do(t, "ann", "DELETE", "/v1/files/file-2", "").want(404)
}

func TestForeignFilesLookLikeMissingOnes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	b.files.add("file-1", "user-bob", "a.txt", []byte("a"))
	same := "X-Request-ID: req-1"
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/files/X", "", 404},
		{"PATCH", "/v1/files/X", `{"name":"b"}`, 404},
		{"DELETE", "/v1/files/X", "", 404},
		{"GET", "/v1/files/X/download", "", 404},
		{"POST", "/v1/agents/agent-1/chat", `{"message":"a","file_ids":["X"]}`, 400},
	} {
		ask := func(id string) string {
			r := strings.NewReplacer("X", id)
			return r.Replace(strings.ReplaceAll(b.do(t, "ann", c.method, r.Replace(c.path), r.Replace(c.body), same).want(c.status).Body.String(), id, "file-?"))
		}
		if foreign, missing := ask("file-1"), ask("file-2"); foreign != missing {
			t.Errorf("%s %s: %s and %s", c.method, c.path, foreign, missing)
		}
	}
}

func TestFilesGoWithAMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	one := b.files.add("file-1", "user-ann", "a.txt", []byte("a"))
	two := b.files.add("file-2", "user-ann", "b.pdf", []byte("%PDF-1.7"))
	chat := "/v1/agents/agent-1/chat"
	b.do(t, "ann", "POST", chat, `{"message":"Read these","file_ids":["file-2","file-1"]}`).want(200)
	parts := b.turns[0].Parts
	if len(parts) != 3 || parts[0].Text != "Read these" || *parts[1].File != *two.Ref() || *parts[2].File != *one.Ref() {
		t.Errorf("the turn has %+v", parts)
	}
	seventeen := `"x"` + strings.Repeat(`,"x"`, 16)
	for ids, want := range map[string][2]string{
		`["file-1","file-9"]`: {"file_ids[1]", `There is no file "file-9"`},
		`["file-1","file-1"]`: {"file_ids", "Must not have an item twice"},
		`[` + seventeen + `]`: {"file_ids", "Must have at most 16 items"},
		`"file-1"`:            {"file_ids", "Must be an array"},
		`[7]`:                 {"file_ids[0]", "Must be a string"},
	} {
		f := b.do(t, "ann", "POST", chat, `{"message":"a","file_ids":`+ids+`}`).want(400).failure()
		if f.Details.Field != want[0] || !strings.Contains(f.Details.Issue, want[1]) {
			t.Errorf("%s: got %+v", ids, f.Details)
		}
	}
	b.do(t, "ann", "POST", chat, `{"file_ids":["file-1"]}`).want(400)

	b.messages = []*core.Message{
		{ID: "msg-1", AgentID: "agent-1", UserID: "user-ann", SessionID: "s", Role: sdk.RoleUser, Parts: parts[:2], CreatedAt: fileTime},
		{ID: "msg-2", AgentID: "agent-1", UserID: "user-ann", SessionID: "s", Role: sdk.RoleAssistant, Parts: []sdk.Part{{File: one.Ref()}}, CreatedAt: fileTime},
	}
	got := b.do(t, "ann", "GET", chat+"/history", "").want(200).Body.String()
	for _, want := range []string{
		`"content":"Read these","files":[{"id":"file-2","name":"b.pdf","content_type":"application/pdf","size":8}],`,
		`"content":"","files":[{"id":"file-1","name":"a.txt","content_type":"text/plain; charset=utf-8","size":1}],`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the history is %s", got)
		}
	}
	b.answer = []sdk.Part{{Text: "Here"}, {File: one.Ref()}}
	if a := b.do(t, "ann", "POST", chat, `{"message":"a"}`).want(200); !strings.Contains(a.Body.String(), `"message":"Here","files":[{"id":"file-1",`) {
		t.Errorf("the reply is %s", a.Body)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.reload = core.PluginReload{Generation: 2, Started: []string{"files/s3"}, FileBackend: "s3"}
	want := `{"generation":2,"started":["files/s3"],"replaced":[],"stopped":[],"kept":[],"file_backend":"s3"}`
	if got := strings.TrimSpace(b.do(t, "root", "POST", "/v1/plugins/reload", "").want(200).Body.String()); got != want {
		t.Errorf("got %s", got)
	}
	if got := b.do(t, "root", "POST", "/v1/plugins/reload?dry_run=true", "").want(200).Body.String(); !strings.Contains(got, `"generation":77`) {
		t.Errorf("the plan is %s", got)
	}
	b.do(t, "root", "POST", "/v1/plugins/reload?dry_run=perhaps", "").want(400)
	b.do(t, "ann", "POST", "/v1/plugins/reload", "").want(403)
	b.reloadErr = core.Invalid("plugins.hcl:3,1-4", "There is no argument %q", "conig")
	if f := b.do(t, "root", "POST", "/v1/plugins/reload", "").want(400).failure(); f.Details.Field != "plugins.hcl:3,1-4" {
		t.Errorf("got %+v", f)
	}
	b.reloadErr = core.Unavailable(`The plugin files "s3" does not come up`)
	b.do(t, "root", "POST", "/v1/plugins/reload", "").want(503)
}
