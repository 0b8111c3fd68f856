package files

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

const (
	formType = "Content-Type: multipart/form-data; boundary=XX"
	formEnd  = "--XX--\r\n"
)

// formPart returns an encoded part of a form.
func formPart(headers, body string) string {
	return "--XX\r\n" + headers + "\r\n\r\n" + body + "\r\n"
}

func filePart(filename, body string) string {
	return formPart(`Content-Disposition: form-data; name="file"; `+filename+"\r\nContent-Type: text/plain", body)
}

func metadataPart(body string) string {
	return formPart(`Content-Disposition: form-data; name="metadata"`, body)
}

func named(filename string) string { return filePart(`filename="`+filename+`"`, "hello") + formEnd }

func TestUpload(t *testing.T) {
	t.Parallel()
	metadata := `{"description":"Document for processing","n":12345678901234567890}`
	const html = "<html>\r\n--X\r\n"
	file := filePart(`filename="report.html"`, html)
	for name, body := range map[string]string{
		"file first":            file + metadataPart(metadata) + formEnd,
		"metadata first":        metadataPart(metadata) + file + formEnd,
		"metadata with a type":  file + formPart("Content-Disposition: form-data; name=\"metadata\"\r\nContent-Type: application/json", metadata) + formEnd,
		"metadata from a file":  file + formPart(`Content-Disposition: form-data; name="metadata"; filename="m.json"`, metadata) + formEnd,
		"no final line break":   file + metadataPart(metadata) + "--XX--",
		"preamble and epilogue": "Dear reader\r\n" + file + metadataPart(metadata) + formEnd + "Yours\r\n",
		"bare line feeds":       strings.Replace(strings.ReplaceAll(strings.Replace(file, html, "BODY", 1)+metadataPart(metadata)+formEnd, "\r\n", "\n"), "BODY", html, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			a := env.Do(t, "ann", "POST", "/v1/files/upload", body, formType).Want(201)
			f := env.files.only()
			if got := string(env.files.bytes[f.ID]); got != html {
				t.Errorf("stored %q, want %q", got, html)
			}
			if a.Header().Get("Location") != "/v1/files/"+f.ID || a.Header().Get("ETag") != `"v1"` {
				t.Errorf("got headers %v, want Location /v1/files/%s and ETag v1", a.Header(), f.ID)
			}
			sum := sha256.Sum256([]byte(html))
			expect := fmt.Sprintf(`{"id":%q,"name":"report.html","size":13,"content_type":"text/html; charset=utf-8","sha256":"%x","metadata":%s,`+
				`"created_at":"2025-01-02T03:04:05.000678Z","updated_at":"2025-01-02T03:04:05.000678Z","created_by":"user-ann"}`,
				f.ID, sum, metadata)
			if got := strings.TrimSpace(a.Body.String()); got != expect {
				t.Errorf("got %s\nwant %s", got, expect)
			}
		})
	}
	env := newEnv(t)
	env.Do(t, "ann", "POST", "/v1/files/upload/", filePart(`filename="a"`, "")+formEnd, formType).Want(201)
	if f := env.files.only(); f.Size != 0 || string(f.Metadata) != "{}" {
		t.Errorf("stored %+v, want an empty file", f)
	}
}

func TestUpload_names(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 255)
	for given, want := range map[string]string{
		`filename="a b;c.txt"`:                         "a b;c.txt",
		`filename=plain.txt`:                           "plain.txt",
		`filename="-"`:                                 "-",
		`filename="/etc/passwd"`:                       "passwd",
		`filename="../../etc/x.txt"`:                   "x.txt",
		`filename="C:\dir\new.txt"`:                    "new.txt",
		`filename="say \"hi\".txt"`:                    `say "hi".txt`,
		`filename="say %22hi%22.txt"`:                  "say %22hi%22.txt",
		`filename="a%00b%2F..%2Fc"`:                    "a%00b%2F..%2Fc",
		`filename="日本語 é.txt"`:                         "日本語 é.txt",
		`filename*=utf-8''%e6%97%a5.txt`:               "日.txt",
		`filename="x.txt"; filename*=UTF-8''y%20z.txt`: "y z.txt",
		"filename=\"\u200fשלום\u200e.txt\"":            "\u200fשלום\u200e.txt",
		`filename="` + long + `"`:                      long,
		`filename="....txt"`:                           "....txt",
	} {
		env := newEnv(t)
		env.Do(t, "ann", "POST", "/v1/files/upload", filePart(given, "hello")+formEnd, formType).Want(201)
		if got := env.files.only().Name; got != want {
			t.Errorf("upload with %s: got name %q, want %q", given, got, want)
		}
	}
}

func TestUpload_invalid(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	t.Cleanup(func() {
		if len(env.files.files) > 0 {
			t.Errorf("stored %v, want nothing after rejected uploads", env.files.files)
		}
	})
	good := filePart(`filename="a"`, "hello")
	deep := strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)
	for name, c := range map[string]struct {
		body, contentType string
		status            int
		field, issue      string
	}{
		"JSON":                        {`{}`, "application/json", 415, "Content-Type", "Send multipart/form-data"},
		"other form":                  {`file=a`, "application/x-www-form-urlencoded", 415, "Content-Type", "Send multipart/form-data"},
		"mixed":                       {good + formEnd, "multipart/mixed; boundary=XX", 415, "Content-Type", "Send multipart/form-data"},
		"no boundary":                 {good + formEnd, "multipart/form-data", 400, "Content-Type", "boundary"},
		"empty boundary":              {good + formEnd, "multipart/form-data; boundary=", 400, "Content-Type", "boundary"},
		"quoted empty boundary":       {good + formEnd, `multipart/form-data; boundary=""`, 400, "Content-Type", "boundary"},
		"long boundary":               {good + formEnd, "multipart/form-data; boundary=" + strings.Repeat("X", 71), 400, "Content-Type", "boundary"},
		"another boundary":            {good + formEnd, "multipart/form-data; boundary=YY", 400, "body", "The body ended before"},
		"another boundary, long":      {filePart(`filename="a"`, strings.Repeat("line\r\n", 4000)) + formEnd, "multipart/form-data; boundary=YY", 413, "body", "The headers of a part exceed"},
		"no body":                     {"", "", 400, "body", "The body ended before"},
		"no parts":                    {formEnd, "", 400, "file", "Field is required"},
		"garbage":                     {strings.Repeat("a", 5000), "", 400, "body", "Must be multipart/form-data"},
		"cut in headers":              {"--XX\r\nContent-Disposition: form-data", "", 400, "body", ""},
		"cut in the file":             {strings.TrimSuffix(good, "\r\n"), "", 400, "body", "The body ended before"},
		"cut after the file":          {good + "--XX", "", 400, "body", "The body ended before"},
		"cut in the second's headers": {good + "--XX\r\n", "", 400, "body", ""},
		"cut in the metadata":         {good + strings.TrimSuffix(metadataPart("{}"), "\r\n"), "", 400, "body", "The body ended before"},
		"cut in the last boundary":    {good + "--XX-", "", 400, "body", "The body ended before"},
		"no file":                     {metadataPart("{}") + formEnd, "", 400, "file", "Field is required"},
		"two files":                   {good + good + formEnd, "", 400, "file", "Only one part"},
		"two metadata":                {metadataPart("{}") + metadataPart("{}") + good + formEnd, "", 400, "metadata", "Only one part"},
		"two metadata around":         {metadataPart("{}") + good + metadataPart("{}") + formEnd, "", 400, "metadata", "Only one part"},
		"file without a name":         {formPart(`Content-Disposition: form-data; name="file"`, "hello") + formEnd, "", 400, "file", "Must have a filename"},
		"file of another charset":     {filePart(`filename*=iso-8859-1''%e9`, "a") + formEnd, "", 400, "file", "Must have a filename"},
		"unknown part first":          {formPart(`Content-Disposition: form-data; name="colour"`, "red") + good + formEnd, "", 400, "colour", "Unknown part. The parts of the form are file and metadata."},
		"unknown part last":           {good + formPart(`Content-Disposition: form-data; name="colour"`, "red") + formEnd, "", 400, "colour", "Unknown part"},
		"part without a name":         {formPart(`Content-Disposition: form-data`, "red") + formEnd, "", 400, "body", "Unknown part"},
		"part without headers":        {formPart("", "red") + formEnd, "", 400, "body", ""},
		"part of another kind":        {formPart(`Content-Disposition: attachment; name="file"; filename="a"`, "red") + formEnd, "", 400, "body", "Each part must have a header"},
		"broken header":               {formPart(`No colon here`, "red") + formEnd, "", 400, "file", "malformed"},
		"unquoted name":               {filePart(`filename=a b.txt`, "a") + formEnd, "", 400, "body", "Each part must have a header"},
		"base64":                      {formPart("Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Transfer-Encoding: base64", "aGk=") + formEnd, "", 400, "body", `Content-Transfer-Encoding "base64" is not supported`},
		"empty name":                  {named(""), "", 400, "file", "must not be empty"},
		"folder":                      {named("dir/"), "", 400, "file", "must not be empty"},
		"dot":                         {named("."), "", 400, "file", "must not be"},
		"dots":                        {named("a/.."), "", 400, "file", "must not be"},
		"256 characters":              {named(strings.Repeat("ü", 256)), "", 400, "file", "at most 255"},
		"NUL in a name":               {named("a\x00b"), "", 400, "file", "control"},
		"CR in a name":                {named("a\rb"), "", 400, "file", "control"},
		"LF in a name":                {named("a\nb"), "", 400, "file", "control"},
		"CR LF in an encoded name":    {filePart(`filename*=utf-8''a%0d%0ab`, "a") + formEnd, "", 400, "file", "control"},
		"NUL in an encoded name":      {filePart(`filename="x"; filename*=utf-8''a%00`, "a") + formEnd, "", 400, "file", "control"},
		"C1 in a name":                {named("a\u0085b"), "", 400, "file", "control"},
		"broken UTF-8 in a name":      {named("a\xff"), "", 400, "file", "UTF-8"},
		"broken UTF-8, encoded":       {filePart(`filename*=utf-8''%ff`, "a") + formEnd, "", 400, "file", "UTF-8"},
		"override in a name":          {named("a\u202egpj.exe"), "", 400, "file", "reorder"},
		"isolate in a name":           {named("a\u2066b"), "", 400, "file", "reorder"},
		"metadata: no JSON":           {metadataPart("{") + good + formEnd, "", 400, "metadata", "Must be valid JSON. Line 1"},
		"metadata last, not JSON":     {good + metadataPart("{") + formEnd, "", 400, "metadata", "Must be valid JSON. Line 1"},
		"metadata: nothing":           {metadataPart("") + good + formEnd, "", 400, "metadata", "Must be valid JSON"},
		"metadata: list":              {good + metadataPart("[]") + formEnd, "", 400, "metadata", "Must be an object"},
		"metadata: null":              {good + metadataPart("null") + formEnd, "", 400, "metadata", "Must be an object"},
		"metadata: NUL":               {good + metadataPart(`{"a":{"b":["\u0000"]}}`) + formEnd, "", 400, "metadata.a.b[0]", "NUL"},
		"metadata: NUL in a key":      {good + metadataPart(`{"a\u0000":1}`) + formEnd, "", 400, "metadata", "NUL"},
		"metadata: deep":              {good + metadataPart(deep) + formEnd, "", 400, "metadata", "deeper than 64"},
		"metadata: broken UTF-8":      {good + metadataPart("{\"a\":\"\xff\"}") + formEnd, "", 400, "metadata", "UTF-8"},
		"metadata: too long":          {metadataPart(`{"a":"`+strings.Repeat("a", 64<<10)+`"}`) + good + formEnd, "", 413, "metadata", "at most 65536 bytes"},
		"metadata last, too long":     {good + metadataPart(`{"a":"`+strings.Repeat("a", 64<<10)+`"}`) + formEnd, "", 413, "metadata", "at most 65536 bytes"},
		"long headers":                {formPart("Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nX: "+strings.Repeat("a", 20<<10), "a") + formEnd, "", 413, "body", "The headers of a part exceed"},
		"many headers":                {formPart("Content-Disposition: form-data; name=\"file\"; filename=\"a\""+strings.Repeat("\r\nX: a", 4000), "a") + formEnd, "", 413, "body", "The headers of a part exceed"},
		"long headers after the file": {good + formPart("Content-Disposition: form-data; name=\"metadata\"\r\nX: "+strings.Repeat("a", 20<<10), "{}") + formEnd, "", 413, "body", "The headers of a part exceed"},
		"data after the end":          {good + formEnd + strings.Repeat("a", 100<<10), "", 400, "body", "The body must end after"},
		"garbage between the parts":   {strings.Replace(good, "hello\r\n", "hello\r\n--XX garbage", 1) + formEnd, "", 400, "body", "Must be multipart/form-data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contentType := formType
			if c.contentType != "" {
				contentType = "Content-Type: " + c.contentType
			}
			a := env.Do(t, "ann", "POST", "/v1/files/upload", c.body, contentType).Want(c.status)
			f := a.Failure()
			if got := api.NewErrorReply(&core.Error{Code: f.Code}, "").GetStatus(); got != c.status ||
				f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("got %+v, want field %q and issue %q", f, c.field, c.issue)
			}
		})
	}
	if a := env.Do(t, "ann", "POST", "/v1/files/upload", good+formEnd, "Content-Type: "); a.Code != 415 {
		t.Errorf("upload without a Content-Type: got status %d, want 415", a.Code)
	}
	env.Do(t, "eve", "POST", "/v1/files/upload", good+formEnd, formType).Want(403)
}

func TestUpload_longHeaders(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	header := "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nX: " + strings.Repeat("a", 16000)
	env.Do(t, "ann", "POST", "/v1/files/upload", formPart(header, strings.Repeat("b", 10000))+formEnd, formType).Want(201)
	if f := env.files.only(); f.Size != 10000 {
		t.Errorf("stored %d bytes, want 10000", f.Size)
	}
}

func TestUpload_backendErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    *core.Error
		status int
	}{
		{&core.Error{Code: core.CodePayloadTooLarge, Message: "Your files have 10 of 10 bytes"}, 413},
		{&core.Error{Code: core.CodeRateLimited, Message: "Too many uploads", RetryAfter: 1500 * time.Millisecond}, 429},
		{core.Unavailable("The file backend is down"), 503},
		{&core.Error{Code: core.CodeInsufficientStorage, Message: "The disk is full"}, 507},
	} {
		env := newEnv(t)
		env.files.receive = func(context.Context, *core.Upload) ([]byte, error) {
			return nil, fmt.Errorf("upload: %w", c.err)
		}
		a := env.Do(t, "ann", "POST", "/v1/files/upload", named("a"), formType).Want(c.status)
		if a.Failure().Code != c.err.Code || c.status == 429 && a.Header().Get("Retry-After") != "2" {
			t.Errorf("got %s with %v, want code %s", a.Body, a.Header(), c.err.Code)
		}
	}
}

func TestUpload_contentLengthOverLimit(t *testing.T) {
	t.Parallel()
	env := newEnv(t, func(_ *api.Options, o *Options) { o.MaxUpload = 1000 })
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/files/upload", unreadable{t})
	r.ContentLength = 1000 + 1<<20 + 1
	r.Header.Set("Content-Type", "multipart/form-data; boundary=XX")
	r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
	w := httptest.NewRecorder()
	env.API.Handler().ServeHTTP(w, r)
	if f := apitest.NewAnswer(t, w).Want(413).Failure(); f.Details.Field != "file" ||
		!strings.Contains(f.Details.Issue, "at most 1000 bytes") {
		t.Errorf("got %+v, want field file and the limit of 1000 bytes", f)
	}
}

func TestUpload_rejectedEarly(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	s := env.server(t)
	for request, status := range map[string]int{
		"Content-Length: 9999999999\r\n" + formType + "\r\n\r\n":            413,
		"Content-Length: 9999999\r\nContent-Type: text/plain\r\n\r\n":       415,
		"Content-Length: 9999999\r\n" + formType + "\r\n\r\n" + named(".."): 400,
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err = fmt.Fprintf(conn, "POST /v1/files/upload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n%s",
			env.Tokens["ann"], request); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != status {
			t.Errorf("%q: got status %s, want %d", request, res.Status, status)
		}
	}
}

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the upload read the body of a request that it rejects by its headers")
	return 0, io.EOF
}

// server serves the API on a real listener.
func (env *testEnv) server(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(env.API.Handler())
	t.Cleanup(s.Close)
	return s
}

// send sends a request as ann over the network. The length of the body may be unknown.
func (env *testEnv) send(
	t *testing.T, s *httptest.Server, method, path string, body io.Reader, headers ...string,
) remote {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return remote{res}
}

// remote is a response whose body is closed when the test ends.
type remote struct{ *http.Response }

func TestUpload_streams(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	first := make(chan string)
	env.files.receive = func(_ context.Context, u *core.Upload) ([]byte, error) {
		buf := make([]byte, 5)
		if _, err := io.ReadFull(u.Body, buf); err != nil {
			return nil, err
		}
		first <- string(buf)
		rest, err := io.ReadAll(u.Body)
		if string(u.Metadata) != `{"late":true}` {
			t.Errorf("at the end of the body the metadata is %s, want the late part", u.Metadata)
		}
		return append(buf, rest...), err
	}
	body, client := io.Pipe()
	go func() {
		_, _ = io.WriteString(client, "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nfirst")
		if got := <-first; got != "first" {
			t.Errorf("Receive got %q, want the first part before the end of the body", got)
		}
		_, _ = io.WriteString(client, ", last\r\n"+metadataPart(`{"late":true}`)+formEnd)
		_ = client.Close()
	}()
	if res := env.send(t, env.server(t), "POST", "/v1/files/upload", body, formType); res.StatusCode != 201 {
		t.Errorf("got status %s, want 201", res.Status)
	}
	if got := string(env.files.bytes[env.files.only().ID]); got != "first, last" {
		t.Errorf("stored %q, want %q", got, "first, last")
	}
}

// The test is not parallel, because it measures the memory that the whole process allocates.
func TestUpload_memory(t *testing.T) { //nolint:paralleltest // it measures allocations
	const size = 64 << 20
	env := newEnv(t)
	env.files.receive = func(_ context.Context, u *core.Upload) ([]byte, error) {
		buf := make([]byte, 256<<10)
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, u.Body, buf)
		if n != size {
			t.Errorf("Receive got %d bytes, want %d", n, size)
		}
		return nil, err
	}
	env.files.content = func(f *core.File) io.ReadSeekCloser { return &faulty{size: f.Size, until: f.Size} }
	s := env.server(t)
	temps := tempFiles(t)
	up := func() {
		head := metadataPart("{}") + strings.TrimSuffix(filePart(`filename="a"`, ""), "\r\n")
		body := io.MultiReader(strings.NewReader(head), io.LimitReader(&faulty{until: size}, size),
			strings.NewReader("\r\n"+formEnd))
		if res := env.send(t, s, "POST", "/v1/files/upload", body, formType); res.StatusCode != 201 {
			t.Errorf("upload: got status %s, want 201", res.Status)
		}
	}
	down := func() {
		env.files.files["file-big"] = &core.File{
			ID: "file-big", Name: "big", Size: size, CreatedBy: "user-ann", ContentType: "text/plain", SHA256: "00",
		}
		res := env.send(t, s, "GET", "/v1/files/file-big/download", nil)
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 256<<10)); n != size ||
			err != nil {
			t.Errorf("download: got %d bytes and error %v, want %d", n, err, size)
		}
	}
	for name, f := range map[string]func(){"upload": up, "download": down} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("%s of 64 MB allocated %d bytes, want at most 4 MiB", name, grown)
		}
	}
	if now := tempFiles(t); now != temps {
		t.Errorf("got %d more temporary files, want none", now-temps)
	}
}

func tempFiles(t *testing.T) int {
	t.Helper()
	found, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range found {
		if strings.HasPrefix(f.Name(), "multipart-") {
			n++
		}
	}
	return n
}

// dial sends the first part of an upload.
func (env *testEnv) dial(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn,
		"POST /v1/files/upload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n%s\r\nContent-Length: 100000\r\n\r\n%s",
		env.Tokens["ann"], formType, filePart(`filename="a"`, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestUpload_clientDisconnects(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	ended := make(chan error, 1)
	env.files.receive = func(_ context.Context, u *core.Upload) ([]byte, error) {
		got, err := io.ReadAll(u.Body)
		ended <- err
		return got, err
	}
	_ = env.dial(t, env.server(t)).Close()
	var e *core.Error
	if err := <-ended; !errors.As(err, &e) || e.Code != core.CodeValidation ||
		!strings.Contains(e.Error(), "The body ended before") {
		t.Errorf("Receive got error %v, want %s for an incomplete body", err, core.CodeValidation)
	}
	if len(env.files.files) != 0 {
		t.Errorf("stored %v, want nothing", env.files.files)
	}
}

func TestUpload_stalledClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, idle(50*time.Millisecond))
	conn := env.dial(t, env.server(t))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != 400 || !strings.Contains(string(text), "No data arrived for 50ms") {
		t.Errorf("got %s: %s, want 400 after 50 ms without data", res.Status, text)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("Read from the connection: got error %v, want %v", err, io.EOF)
	}
}

// A backend may take longer to store the received bytes than a client may take to send.
func TestUpload_slowBackend(t *testing.T) {
	t.Parallel()
	env := newEnv(t, idle(20*time.Millisecond))
	env.files.receive = func(ctx context.Context, u *core.Upload) ([]byte, error) {
		slow := make([]byte, 1000)
		if _, err := io.ReadFull(u.Body, slow); err != nil {
			return nil, err
		}
		time.Sleep(50 * time.Millisecond) // longer than the idle timeout
		rest, err := readAll(ctx, u)
		select {
		case <-ctx.Done():
			t.Error("the request's context ended during the upload")
		case <-time.After(50 * time.Millisecond):
		}
		return rest, err
	}
	for _, size := range []int{2000, 1 << 20} {
		body := filePart(`filename="a"`, strings.Repeat("a", size)) + formEnd
		if res := env.send(t, env.server(t), "POST", "/v1/files/upload",
			strings.NewReader(body), formType); res.StatusCode != 201 {
			t.Errorf("upload of %d bytes: got status %s, want 201", size, res.Status)
		}
	}
}

func TestUpload_readDeadline(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for body, stays := range map[string]bool{named("a"): false, named(".."): true} {
		watch := apitest.NewDeadlineWriter()
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/files/upload", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
		r.Header.Set("Content-Type", "multipart/form-data; boundary=XX")
		env.API.Handler().ServeHTTP(watch, r)
		if !watch.Set || watch.Last.IsZero() == stays {
			t.Errorf("got last read deadline %v, want one that stays: %t", watch.Last, stays)
		}
	}
}

func TestUpload_multipartWriter(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.WriteField("metadata", `{"a":"b"}`); err != nil {
		t.Fatal(err)
	}
	p, err := w.CreateFormFile("file", `é "x".bin`)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte{0, 1, '\r', '\n', '-', '-'}, 50000)
	_, _ = p.Write(want)
	_ = w.Close()
	res := env.send(t, env.server(t), "POST", "/v1/files/upload", &body, "Content-Type: "+w.FormDataContentType())
	var f file
	if err := json.NewDecoder(res.Body).Decode(&f); err != nil || f.Name != `é "x".bin` || f.Size != int64(len(want)) {
		t.Errorf("got %+v (%v), want the name and %d bytes", f, err, len(want))
	}
	if !bytes.Equal(env.files.bytes[f.ID], want) {
		t.Error("the stored bytes differ from the sent ones")
	}
}

// packets is a reader that returns at most size bytes at a time.
type packets struct {
	r    io.Reader
	size int
}

func (p packets) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.size)]) }

func TestUpload_packetSizes(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	want := strings.Repeat("\r\n--X\r\n-", 20000)
	body := metadataPart(`{"a":1}`) + filePart(`filename="a"`, want) + formEnd
	for _, size := range []int{1, 3, 4095, 4096, 4097, 65535, 65537} {
		clear(env.files.files)
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/files/upload", packets{strings.NewReader(body), size})
		r.Header.Set("Content-Type", "multipart/form-data; boundary=XX")
		r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
		w := httptest.NewRecorder()
		env.API.Handler().ServeHTTP(w, r)
		apitest.NewAnswer(t, w).Want(201)
		if got := env.files.bytes[env.files.only().ID]; string(got) != want {
			t.Errorf("in packets of %d bytes: stored %d bytes, want %d", size, len(got), len(want))
		}
	}
}
