package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"
)

const exampleFile = `{"id": "file-123", "name": "document.pdf", "size": 1024, "content_type": "application/pdf", "sha256": "9f86",
	"metadata": {"description": "Document for processing"}, "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z",
	"created_by": "user-456"}`

// The parts of an upload may come in any order. The content type is detected from the bytes.
func TestUpload(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	const metadata = `{"description": "Document for processing", "n": 12345678901234567890}`
	pdf := append([]byte("%PDF-1.7\n"), randomBytes(1, 100<<10)...)
	for _, first := range []string{"file", "metadata"} {
		parts := []part{filePart("document.pdf", bytes.NewReader(pdf)), metadataPart(metadata)}
		if first == "metadata" {
			parts[0], parts[1] = parts[1], parts[0]
		}
		parts[0].header += "X-Unknown: yes\r\n"
		made := c.send(parts...).want(t, 201)
		wantShape(t, exampleFile, made.body)
		wantHeaders(t, made)
		f := decode[file](t, made)
		if f.Name != "document.pdf" || f.Size != int64(len(pdf)) || f.ContentType != "application/pdf" ||
			f.SHA256 != sha256Hex(pdf) {
			t.Errorf("%s first: got %+v", first, f)
		}
		if !strings.Contains(string(made.body), "12345678901234567890") {
			t.Errorf("got %s, want all digits of the number", made.body)
		}
		if at := made.header.Get("Location"); at != "/v1/files/"+f.ID {
			t.Errorf("got Location %q, want the file", at)
		}
		if got := c.get("/v1/files/"+f.ID+"/").want(t, 200); !bytes.Equal(got.body, made.body) {
			t.Errorf("got %s, want %s", got.body, made.body)
		}
		c.checkDownload(f)
	}
	// A file without metadata and bytes, and one with a wrong Content-Type, which is ignored.
	wrongType := filePart("page.png", strings.NewReader("<!DOCTYPE html><script>alert(1)</script>"))
	wrongType.header += "Content-Type: image/png\r\n"
	for name, tt := range map[string]struct {
		part part
		want string
	}{
		"wrong type": {wrongType, "text/html; charset=utf-8"},
		"empty":      {filePart("empty", strings.NewReader("")), "text/plain"},
	} {
		f := decode[file](t, c.send(tt.part).want(t, 201))
		if f.ContentType != tt.want || len(f.Metadata) != 0 {
			t.Errorf("%s: got %+v, want type %s", name, f, tt.want)
		}
		c.checkDownload(f)
	}
}

func TestBadUploads(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	content := func() part { return filePart("a.txt", strings.NewReader("text")) }
	unnamed := part{"Content-Disposition: form-data; name=\"file\"\r\n", strings.NewReader("text")}
	other := part{"Content-Disposition: form-data; name=\"colour\"\r\n", strings.NewReader("red")}
	for name, tt := range map[string]struct {
		parts  []part
		status int
		field  string
	}{
		"nothing":          {nil, 400, "file"},
		"no file":          {[]part{metadataPart("{}")}, 400, "file"},
		"no filename":      {[]part{unnamed}, 400, "file"},
		"two files":        {[]part{content(), content()}, 400, "file"},
		"two metadata":     {[]part{metadataPart("{}"), content(), metadataPart("{}")}, 400, "metadata"},
		"another part":     {[]part{content(), other}, 400, "colour"},
		"metadata no JSON": {[]part{content(), metadataPart("{")}, 400, "metadata"},
		"metadata a list":  {[]part{metadataPart("[]"), content()}, 400, "metadata"},
		"metadata NUL":     {[]part{content(), metadataPart(`{"a":"\u0000"}`)}, 400, "metadata.a"},
		"metadata deep":    {[]part{content(), metadataPart(strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200))}, 400, "metadata"},
		"metadata long":    {[]part{content(), metadataPart(`{"a":"` + strings.Repeat("a", 64<<10) + `"}`)}, 413, "metadata"},
		"long headers":     {[]part{{content().header + "X-Long: " + strings.Repeat("a", 20<<10) + "\r\n", strings.NewReader("")}}, 413, "body"},
	} {
		r := c.send(tt.parts...)
		if r.status != tt.status || r.failure(t).Details.Field != tt.field {
			t.Errorf("%s: got status %d, want %d: %s", name, r.status, tt.status, r.body)
		}
	}
	for name, tt := range map[string]struct {
		kind, body string
		status     int
	}{
		"JSON":             {"application/json", "{}", 415},
		"no boundary":      {"multipart/form-data", "--x--\r\n", 400},
		"wrong boundary":   {"multipart/form-data; boundary=x", "--y\r\n\r\n--y--\r\n", 400},
		"no end":           {"multipart/form-data; boundary=x", "--x\r\n" + content().header + "\r\ntext", 400},
		"no last boundary": {"multipart/form-data; boundary=x", "--x\r\n" + content().header + "\r\ntext\r\n--x\r\n", 400},
	} {
		if r := c.do("POST", "/v1/files/upload", tt.body, "Content-Type: "+tt.kind); r.status != tt.status {
			t.Errorf("%s: got status %d, want %d: %s", name, r.status, tt.status, r.body)
		}
	}
	if got := c.files(); len(got) != 0 {
		t.Errorf("got files %+v, want none", got)
	}
	s.wantObjects("files-local/files")
}

func TestFileLists(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.newMember()
	var ids []string // newest first
	for _, name := range []string{"Report one.txt", "100%.txt", "ÜBER_uns.txt", "report two.html", "c.png"} {
		data := map[string]string{"report two.html": "<!DOCTYPE html><p>", "c.png": "\x89PNG\r\n\x1a\n"}[name]
		if data == "" {
			data = "plain words"
		}
		ids = append([]string{c.upload(name, []byte(data)).ID}, ids...)
	}
	for q, want := range map[string][]string{
		"":                                  ids,
		"limit=2":                           ids[:2],
		"limit=2&offset=3":                  ids[3:],
		"offset=9":                          nil,
		query("name", "REPORT"):             {ids[1], ids[4]},
		query("name", "über_"):              ids[2:3],
		query("name", "%"):                  ids[3:4],
		query("name", "none"):               nil,
		query("content_type", "image/*"):    ids[:1],
		query("content_type", "TEXT/html"):  ids[1:2],
		query("content_type", "text/plain"): ids[2:],

		"content_type=text/*&name=report&limit=1": ids[1:2],
	} {
		got, total := c.listed(q)
		wantList(t, q, got, want...)
		if !strings.Contains(q, "limit") && !strings.Contains(q, "offset") && total != len(want) {
			t.Errorf("%s: got total %d, want %d", q, total, len(want))
		}
	}
	for q, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "offset=-1": "offset", "content_type=text": "content_type",
	} {
		if f := c.get("/v1/files/?"+q).want(t, 400).failure(t); f.Details.Field != field {
			t.Errorf("%s: got error %+v, want field %s", q, f, field)
		}
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	data := randomBytes(2, 3<<20)
	f := c.upload("noise.bin", data)
	path := "/v1/files/" + f.ID + "/download"
	full := c.get(path).want(t, 200)
	if !bytes.Equal(full.body, data) {
		t.Error("the download has other bytes than the upload")
	}
	etag := full.header.Get("ETag")
	for name, want := range map[string]string{
		"ETag": `"` + f.SHA256 + `"`, "Content-Length": itoa(len(data)),
		"Accept-Ranges": "bytes", "Content-Type": f.ContentType,
		"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment; filename=noise.bin",
	} {
		if got := full.header.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	if policy := full.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "sandbox;") {
		t.Errorf("got Content-Security-Policy %q, want a sandbox", policy)
	}
	size := len(data)
	for header, want := range map[string]struct{ from, to int }{
		"bytes=0-0": {0, 1}, "bytes=1000000-1999999": {1e6, 2e6}, "bytes=-5": {size - 5, size},
		"bytes=3145000-": {3145000, size}, "bytes=3145000-9999999": {3145000, size},
	} {
		r := c.do("GET", path, nil, "Range: "+header).want(t, 206)
		if !bytes.Equal(r.body, data[want.from:want.to]) {
			t.Errorf("%s: got %d other bytes", header, len(r.body))
		}
		if got := r.header.Get("Content-Range"); got != fmt.Sprintf("bytes %d-%d/%d", want.from, want.to-1, size) {
			t.Errorf("%s: got Content-Range %s", header, got)
		}
	}
	if r := c.do("GET", path,
		nil,
		"Range: bytes=0-1,100-101").want(t, 206); !strings.HasPrefix(r.header.Get("Content-Type"), "multipart/byteranges") {
		t.Errorf("got %s for two ranges, want multipart/byteranges", r.header.Get("Content-Type"))
	}
	past := c.do("GET", path, nil, "Range: bytes=9999999-").want(t, 416)
	if past.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) || past.failure(t).Details.Field != "Range" {
		t.Errorf("got %v %s for a range past the end", past.header, past.body)
	}
	if r := c.do("GET", path, nil, "If-None-Match: "+etag).want(t, 304); len(r.body) != 0 {
		t.Errorf("got %d bytes with status 304, want none", len(r.body))
	}
	c.do("GET", path, nil, `If-None-Match: "other"`).want(t, 200)
	c.do("GET", path, nil, "If-Range: "+etag, "Range: bytes=0-9").want(t, 206)
	c.do("GET", path, nil, `If-Range: "other"`, "Range: bytes=0-9").want(t, 200)
	c.do("GET", path, nil, `If-Match: "other"`).want(t, 412)
	head := c.do("HEAD", path, nil).want(t, 200)
	if len(head.body) != 0 || head.header.Get("Content-Length") != itoa(size) || head.header.Get("ETag") != etag {
		t.Errorf("HEAD returns %d bytes and %v", len(head.body), head.header)
	}
	s.anonymous().get(path).want(t, 401)
}

// A file's name and metadata can be changed, its bytes cannot. Deleting it removes it from the disk.
func TestChangeAndDeleteFile(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	f := c.upload("a.txt", []byte("text"))
	path := "/v1/files/" + f.ID
	s.wantObjects("files-local/files", f.Size)
	first := c.get(path).header.Get("ETag")
	patched := c.do("PATCH", path, object{"name": "b.txt", "metadata": object{"a": 1, "b": object{"c": 2}}},
		"If-Match: "+first, "Content-Type: application/merge-patch+json").want(t, 200)
	again := decode[file](t, c.do("PATCH", path, `{"metadata":{"a":null,"d":[1]}}`).want(t, 200))
	if again.Name != "b.txt" || fmt.Sprint(again.Metadata) != "map[b:map[c:2] d:[1]]" || again.SHA256 != f.SHA256 {
		t.Errorf("PATCH returns %+v", again)
	}
	c.do("PATCH", path, object{"name": "c.txt"}, "If-Match: "+patched.header.Get("ETag")).want(t, 412)
	c.do("DELETE", path, nil, "If-Match: "+first).want(t, 412)
	for body, field := range map[string]string{
		`{"size":1}`: "size", `{"name":""}`: "name", `{"name":null}`: "name", `{"metadata":[]}`: "metadata",
	} {
		if f := c.do("PATCH", path, body).want(t, 400).failure(t); f.Details.Field != field {
			t.Errorf("%s: got error %+v, want field %s", body, f, field)
		}
	}
	r := c.get(path+"/download").want(t, 200)
	if _, params, err := mime.ParseMediaType(r.header.Get("Content-Disposition")); err != nil ||
		params["filename"] != "b.txt" || string(r.body) != "text" {
		t.Errorf("got filename %v and body %s (%v), want the new name", params, r.body, err)
	}
	c.do("DELETE", path, nil).want(t, 204)
	for _, gone := range []string{path, path + "/download"} {
		c.get(gone).want(t, 404)
	}
	c.do("DELETE", path, nil).want(t, 404)
	if got := c.files(); len(got) != 0 {
		t.Errorf("got files %+v, want none", got)
	}
	s.waitObjects("files-local/files")
}

// A file of another user looks like a file that does not exist.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	s := shared(t)
	admin := s.signIn()
	ann, bob, vic := s.newUser(admin, "ann", "member"), s.newUser(admin, "bob", "member"), s.newUser(admin, "vic",
		"viewer")
	f := ann.upload("hers.txt", []byte("hers"))
	path := "/v1/files/" + f.ID
	for _, request := range []string{"GET " + path, "GET " + path + "/download", "PATCH " + path, "DELETE " + path} {
		method, path, _ := strings.Cut(request, " ")
		var body any
		if method == "PATCH" {
			body = object{"name": "his"}
		}
		foreign := bob.do(method, path, body).want(t, 404).failure(t)
		missing := bob.do(method, strings.Replace(path, f.ID, "file-0", 1), body).want(t, 404).failure(t)
		if foreign.Code != "NOT_FOUND" || strings.ReplaceAll(foreign.Message, f.ID, "file-0") != missing.Message {
			t.Errorf("%s: got %+v for another user's file and %+v for none, want the same", request, foreign, missing)
		}
	}
	if got := bob.files(); len(got) != 0 {
		t.Errorf("bob sees the files %+v, want none", got)
	}
	vic.send(filePart("a", strings.NewReader("a"))).want(t, 403)
	ann.checkDownload(f)
	admin.checkDownload(f)
	bob.post("/v1/files/move", object{"from": "local", "to": "s3"}).want(t, 403)
	bob.post("/v1/plugins/reload", nil).want(t, 403)
	s.anonymous().send(filePart("a", strings.NewReader("a"))).want(t, 401)
}

// The reply to a rejected upload arrives while the client still sends.
func TestRejectedUploadGetsReply(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	endless := io.MultiReader(bytes.NewReader(randomBytes(3, 1<<20)),
		&slowReader{content: bytes.NewReader(make([]byte, 64<<20)), pause: 1})
	r, err := c.tryUpload(part{filePart("", nil).header, endless})
	if err != nil || r.status != http.StatusBadRequest {
		t.Errorf("got %+v (%v), want status 400", r, err)
	}
}
