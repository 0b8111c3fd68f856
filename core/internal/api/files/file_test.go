package files

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestListFiles(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.add("file-1", "user-ann", "Report.pdf", []byte("%PDF-1.7"))
	env.files.add("file-2", "user-ann", "notes.txt", []byte("notes"))
	env.files.add("file-3", "user-bob", "his.txt", []byte("his"))
	for query, want := range map[string]string{
		"": "file-2 file-1", "name=rEPO": "file-1", "content_type=application/pdf": "file-1", "content_type=TEXT/*": "file-2",
		"name=none": "", "limit=1&offset=1": "file-1",
	} {
		list := env.Do(t, "ann", "GET", "/v1/files?"+query, "").Want(200).JSON()
		var ids []string
		for _, f := range list["files"].([]any) {
			ids = append(ids, f.(map[string]any)["id"].(string))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("GET /v1/files?%s = %s, want %s", query, got, want)
		}
	}
	if got := env.Do(t, "root", "GET", "/v1/files/", "").JSON(); got["total"] != 3.0 || got["limit"] != 100.0 ||
		got["offset"] != 0.0 {
		t.Errorf("an admin's list = %v, want total 3, limit 100 and offset 0", got)
	}
	if s := strings.TrimSpace(env.Do(t, "eve", "GET",
		"/v1/files/", "").Want(200).Body.String()); s != `{"files":[],"total":0,"limit":100,"offset":0}` {
		t.Errorf("got %s, want an empty list", s)
	}
	got := env.Do(t, "ann", "GET", "/v1/files/file-2", "").Want(200)
	want := `{"id":"file-2","name":"notes.txt","size":5,"content_type":"text/plain; charset=utf-8","sha256":"`
	if s := got.Body.String(); !strings.HasPrefix(s, want) || !strings.HasPrefix(got.Header().Get("ETag"), `"v1-`) {
		t.Errorf("got %s with %v, want %s… and ETag v1", s, got.Header(), want)
	}
}

func TestChangeFile(t *testing.T) {
	t.Parallel()
	same := `{"n":12345678901234567890,"keep":"<b>"}`
	for name, c := range map[string]struct{ patch, name, metadata string }{
		"name":               {`{"name":"b.txt"}`, "b.txt", same},
		"name with a folder": {`{"name":"docs/b.txt"}`, "b.txt", same},
		"nothing":            {`{}`, "a.txt", same},
		"metadata is merged": {`{"metadata":{"n":null,"new":{"x":1,"y":null}}}`, "a.txt", `{"keep":"<b>","new":{"x":1}}`},
		"digits are kept":    {`{"metadata":{"keep":"&"}}`, "a.txt", `{"keep":"&","n":12345678901234567890}`},
		"metadata removed":   {`{"metadata":null}`, "a.txt", `{}`},
		"both":               {`{"metadata":{"keep":null,"n":null},"name":"שלום.txt"}`, "שלום.txt", `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.files.add("file-1", "user-ann", "a.txt", []byte("a"))
			a := env.Do(t, "ann", "PATCH", "/v1/files/file-1", c.patch, "Content-Type: application/merge-patch+json",
				`If-Match: "v1"`).Want(200)
			f := env.files.files["file-1"]
			if f.Name != c.name || string(f.Metadata) != c.metadata || f.Version != 2 || !f.UpdatedAt.After(fileTime) {
				t.Errorf("the file is %+v with metadata %s, want name %q, metadata %s and version 2",
					f, f.Metadata, c.name, c.metadata)
			}
			if got := a.JSON(); got["name"] != c.name || a.Header().Get("ETag") != `"v2"` ||
				got["created_at"] == got["updated_at"] {
				t.Errorf("got reply %s with %v, want name %q, ETag v2 and a new updated_at", a.Body, a.Header(), c.name)
			}
			env.Do(t, "ann", "PATCH", "/v1/files/file-1", c.patch, `If-Match: "v1"`).Want(412)
		})
	}
}

func TestChangeFile_invalid(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	full := strings.Repeat("<", 60<<10)
	for _, who := range []string{"ann", "eve"} {
		env.files.add("file-"+who, "user-"+who, "a.txt", []byte("a")).Metadata = json.RawMessage(`{"a":"` + full + `"}`)
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
		`{"size":7}`:                               {400, "size", `Unknown field "size". Known fields: metadata, name`},
		`[]`:                                       {400, "body", "Must be an object"},
	} {
		f := env.Do(t, "ann", "PATCH", "/v1/files/file-ann", patch).Want(want.status).Failure()
		if f.Details.Field != want.field || !strings.Contains(f.Details.Issue, want.issue) {
			t.Errorf("PATCH with %.60s: got %+v, want field %q and issue %q", patch, f, want.field, want.issue)
		}
	}
	// Changing the name does not affect metadata of the maximum size.
	env.Do(t, "ann", "PATCH", "/v1/files/file-ann", `{"name":"b"}`).Want(200)
	env.Do(t, "ann", "PATCH", "/v1/files/file-ann", `{"metadata":{"b":1}}`).Want(200)
	env.Do(t, "eve", "PATCH", "/v1/files/file-eve", `{"name":"b"}`).Want(403)
	env.Do(t, "eve", "DELETE", "/v1/files/file-eve", "").Want(403)
	env.Do(t, "ann", "GET", "/v1/files/?content_type=text", "").Want(400)
	env.Do(t, "ann", "GET", "/v1/files/?content_type=text/html;charset=utf-8", "").Want(400)
}

func TestChangeFile_concurrentUpdate(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.add("file-1", "user-ann", "a.txt", []byte("a"))
	env.files.races = 3
	if a := env.Do(t, "ann", "PATCH", "/v1/files/file-1", `{"name":"b"}`).Want(200); a.Header().Get("ETag") != `"v5"` {
		t.Errorf("got ETag %s, want v5", a.Header().Get("ETag"))
	}
	env.files.races = 1
	f := env.Do(t, "ann", "PATCH", "/v1/files/file-1", `{"name":"c"}`, `If-Match: "v5"`).Want(412).Failure()
	if f.Message != "The file has changed since you read it. Read it again and repeat the change." {
		t.Errorf("PATCH with an old ETag: got %+v, want the message to read the file again", f)
	}
}

func TestDeleteFile(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.add("file-1", "user-ann", "a.txt", []byte("a"))
	env.files.add("file-2", "user-ann", "a.txt", []byte("a"))
	env.Do(t, "ann", "DELETE", "/v1/files/file-1", "", `If-Match: "v2"`).Want(412)
	env.Do(t, "ann", "DELETE", "/v1/files/file-1", "", `If-Match: "v1"`).Want(204)
	env.Do(t, "ann", "DELETE", "/v1/files/file-2", "").Want(204)
	env.Do(t, "ann", "DELETE", "/v1/files/file-2", "").Want(404)
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.add("file-1", "user-bob", "a.txt", []byte("a"))
	same := "X-Request-ID: req-1"
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/files/X", "", 404},
		{"PATCH", "/v1/files/X", `{"name":"b"}`, 404},
		{"DELETE", "/v1/files/X", "", 404},
		{"GET", "/v1/files/X/download", "", 404},
	} {
		ask := func(id string) string {
			r := strings.NewReplacer("X", id)
			return r.Replace(
				strings.ReplaceAll(env.Do(t, "ann", c.method, r.Replace(c.path), r.Replace(c.body),
					same).Want(c.status).Body.String(), id, "file-?"),
			)
		}
		if foreign, missing := ask("file-1"), ask("file-2"); foreign != missing {
			t.Errorf("%s %s: got %s for another user's file, want the reply for a missing one: %s",
				c.method, c.path, foreign, missing)
		}
	}
}
