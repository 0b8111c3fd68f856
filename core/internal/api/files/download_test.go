package files

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

const downloadPath = "/v1/files/file-1/download"

func TestDownload(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	f := env.files.add("file-1", "user-ann", "report.html", []byte("<html>0123456789"))
	tag := `"` + f.SHA256 + `"`
	for _, method := range []string{"GET", "HEAD"} {
		a := env.Do(t, "ann", method, downloadPath, "").Want(200)
		want := map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Content-Length": "16", "ETag": tag, "Accept-Ranges": "bytes",
			"Last-Modified": "Thu, 02 Jan 2025 03:04:05 GMT", "Content-Disposition": "attachment; filename=report.html",
			"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache",
		}
		for name, value := range want {
			if got := a.Header().Get(name); got != value {
				t.Errorf("%s: got %s %q, want %q", method, name, got, value)
			}
		}
		if !strings.HasPrefix(a.Header().Get("Content-Security-Policy"), "sandbox;") {
			t.Errorf("got Content-Security-Policy %q, want sandbox", a.Header().Get("Content-Security-Policy"))
		}
		if got := a.Body.String(); got != "<html>0123456789" && method == "GET" || method == "HEAD" && got != "" {
			t.Errorf("%s: got body %q, want the file for GET only", method, got)
		}
	}
	env.Do(t, "bob", "GET", downloadPath, "").Want(404)
	env.Do(t, "root", "GET", downloadPath+"/", "").Want(200)
	env.Do(t, "eve", "GET", downloadPath, "").Want(404)
	env.files.add("file-2", "user-ann", "empty", nil)
	if a := env.Do(t, "ann", "GET", "/v1/files/file-2/download", "", "Range: bytes=0-9").Want(200); a.Body.Len() != 0 ||
		a.Header().Get("Content-Length") != "0" {
		t.Errorf("an empty file: got headers %v and body %q, want no content", a.Header(), a.Body)
	}
}

func TestDownload_rangesAndConditions(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	f := env.files.add("file-1", "user-ann", "a.txt", []byte("0123456789"))
	tag := `"` + f.SHA256 + `"`
	before, after := "Wed, 01 Jan 2025 00:00:00 GMT", "Fri, 03 Jan 2025 00:00:00 GMT"
	many := "Range: bytes=0-0" + strings.Repeat(",2-2", 16)
	for name, c := range map[string]struct {
		headers []string
		status  int
		body    string
		ranged  string
	}{
		"first":                      {[]string{"Range: bytes=0-3"}, 206, "0123", "bytes 0-3/10"},
		"from":                       {[]string{"Range: bytes=7-"}, 206, "789", "bytes 7-9/10"},
		"last":                       {[]string{"Range: bytes=-2"}, 206, "89", "bytes 8-9/10"},
		"past the end":               {[]string{"Range: bytes=8-100"}, 206, "89", "bytes 8-9/10"},
		"more than there is":         {[]string{"Range: bytes=-100"}, 206, "0123456789", "bytes 0-9/10"},
		"of another unit":            {[]string{"Range: lines=0-3"}, 200, "0123456789", ""},
		"too many":                   {[]string{many}, 200, "0123456789", ""},
		"more than all":              {[]string{"Range: bytes=0-,0-,0-"}, 200, "0123456789", ""},
		"if it is this one":          {[]string{"Range: bytes=0-3", "If-Range: " + tag}, 206, "0123", "bytes 0-3/10"},
		"if it is another":           {[]string{"Range: bytes=0-3", `If-Range: "other"`}, 200, "0123456789", ""},
		"if it is of that time":      {[]string{"Range: bytes=0-3", "If-Range: Thu, 02 Jan 2025 03:04:05 GMT"}, 206, "0123", "bytes 0-3/10"},
		"not this one":               {[]string{"If-None-Match: " + tag}, 304, "", ""},
		"not this one, weakly":       {[]string{`If-None-Match: "a", W/` + tag}, 304, "", ""},
		"not another":                {[]string{`If-None-Match: "other"`}, 200, "0123456789", ""},
		"not since":                  {[]string{"If-Modified-Since: " + after}, 304, "", ""},
		"since":                      {[]string{"If-Modified-Since: " + before}, 200, "0123456789", ""},
		"must be this one":           {[]string{"If-Match: " + tag}, 200, "0123456789", ""},
		"must be another":            {[]string{`If-Match: "other"`}, 412, "PRECONDITION_FAILED", ""},
		"must be a range of another": {[]string{`If-Match: "other"`, "Range: bytes=0-1"}, 412, "PRECONDITION_FAILED", ""},
		"must be older":              {[]string{"If-Unmodified-Since: " + before}, 412, "PRECONDITION_FAILED", ""},
		"is older":                   {[]string{"If-Unmodified-Since: " + after}, 200, "0123456789", ""},
		"no such range":              {[]string{"Range: bytes=10-"}, 416, "VALIDATION_ERROR", "bytes */10"},
		"no range":                   {[]string{"Range: bytes=a-b"}, 416, "VALIDATION_ERROR", "bytes */10"},
		"none of two":                {[]string{"Range: bytes=10-11,12-13"}, 416, "VALIDATION_ERROR", "bytes */10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := env.Do(t, "ann", "GET", downloadPath, "", c.headers...).Want(c.status)
			h := a.Header()
			if h.Get("Content-Range") != c.ranged {
				t.Errorf("got Content-Range %q, want %q", h.Get("Content-Range"), c.ranged)
			}
			if c.status < 400 {
				if a.Body.String() != c.body || h.Get("ETag") != tag {
					t.Errorf("got body %q and headers %v, want body %q and ETag %s", a.Body, h, c.body, tag)
				}
				return
			}
			if f := a.Failure(); string(f.Code) != c.body || f.RequestID == "" {
				t.Errorf("got %+v, want code %s and a request id", f, c.body)
			}
			if h.Get("Content-Type") != "application/json" || h.Get("ETag") != "" || h.Get("Content-Disposition") != "" ||
				h.Get("Content-Length") != "" || h.Get("Cache-Control") != "no-store" ||
				strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("an error reply has the headers %v, want none of the file", h)
			}
		})
	}
}

func TestDownload_severalRanges(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.add("file-1", "user-ann", "a.txt", []byte("0123456789"))
	for _, c := range []string{"0-1,4-5", "0-0,2-2,-1"} {
		a := env.Do(t, "ann", "GET", downloadPath, "", "Range: bytes="+c).Want(206)
		media, params, err := mime.ParseMediaType(a.Header().Get("Content-Type"))
		if err != nil || media != "multipart/byteranges" {
			t.Fatalf("got Content-Type %q (%v), want multipart/byteranges", a.Header().Get("Content-Type"), err)
		}
		var got []string
		for parts := multipart.NewReader(a.Body, params["boundary"]); ; {
			p, err := parts.NextPart()
			if err != nil {
				break
			}
			text, _ := io.ReadAll(p)
			got = append(got, string(text)+" of "+p.Header.Get("Content-Range"))
		}
		want := map[string]string{
			"0-1,4-5":    "01 of bytes 0-1/10; 45 of bytes 4-5/10",
			"0-0,2-2,-1": "0 of bytes 0-0/10; 2 of bytes 2-2/10; 9 of bytes 9-9/10",
		}[c]
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("bytes=%s: got %s, want %s", c, s, want)
		}
	}
}

func TestAttachment(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"report.pdf": `attachment; filename=report.pdf`,
		"a b;c.txt":  `attachment; filename="a b;c.txt"`,
		`say "hi"`:   `attachment; filename="say _hi_"; filename*=UTF-8''say%20%22hi%22`,
		`a\b`:        `attachment; filename=a_b; filename*=UTF-8''a%5Cb`,
		"50%.txt":    `attachment; filename=50_.txt; filename*=UTF-8''50%25.txt`,
		"é 日.txt":    `attachment; filename="_ _.txt"; filename*=UTF-8''%C3%A9%20%E6%97%A5.txt`,
		"a'(b)*.txt": `attachment; filename="a'(b)*.txt"`,
		"a\r\nX: y":  `attachment; filename="a__X: y"; filename*=UTF-8''a%0D%0AX%3A%20y`,
	} {
		got := attachment(name)
		if got != want {
			t.Errorf("attachment(%q) = %s, want %s", name, got, want)
		}
		_, params, err := mime.ParseMediaType(got)
		if err != nil || params["filename"] != name {
			t.Errorf("mime reads the name %q as %q (%v)", name, params["filename"], err)
		}
	}
}

func TestDownload_redirectsToLink(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.add("file-1", "user-ann", "a.txt", []byte("0123456789"))
	env.files.link = "https://s3.example.com/key?signature=x"
	a := env.Do(t, "ann", "GET", downloadPath, "").Want(307)
	if a.Header().Get("Location") != env.files.link || a.Header().Get("Cache-Control") != "no-store" ||
		env.files.opened != 0 {
		t.Errorf("got headers %v, want a redirect to %s without an open file", a.Header(), env.files.link)
	}
	env.Do(t, "ann", "GET", downloadPath, "", "Range: bytes=0-1").Want(206)
	env.Do(t, "ann", "HEAD", downloadPath, "").Want(200)
	env.Do(t, "ann", "GET", downloadPath, "", `If-Match: "other"`).Want(412)
	env.files.link, env.files.linkErr = "", apitest.ErrPrivate
	env.Do(t, "ann", "GET", downloadPath, "").Want(200)
	if l := env.Log(); !strings.Contains(l, "cannot get a download link") {
		t.Errorf("got log %s, want the failed download link", l)
	}
}

func TestDownload_backendFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		until  int64
		ranges string
		status int
	}{
		"down":                  {core.Unavailable("The file backend is down"), 0, "", 503},
		"down, range":           {core.Unavailable("The file backend is down"), 0, "bytes=5-9", 503},
		"down, ranges":          {core.Unavailable("The file backend is down"), 0, "bytes=1-2,5-6", 503},
		"within the first read": {core.Unavailable("The file backend is down"), 5, "", 503},
		"bytes are missing":     {nil, 5, "", 503},
		"unknown":               {apitest.ErrPrivate, 0, "", 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.files.add("file-1", "user-ann", "a.txt", []byte("0123456789"))
			env.files.content = func(f *core.File) io.ReadSeekCloser { return &faulty{size: f.Size, until: c.until, err: c.err} }
			a := env.Do(t, "ann", "GET", downloadPath, "", "Range: "+c.ranges).Want(c.status)
			h := a.Header()
			if a.Failure().Message == "" || strings.Contains(a.Body.String(), "10.0.0.7") {
				t.Errorf("got %s, want a message without private text", a.Body)
			}
			if h.Get("ETag") != "" || h.Get("Content-Length") != "" || h.Get("Content-Range") != "" ||
				h.Get("Content-Disposition") != "" || h.Get("Content-Type") != "application/json" {
				t.Errorf("an error reply has the headers %v, want none of the file", h)
			}
		})
	}
}

func TestDownload_backendFailsLater(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, c := range map[string]struct {
		err    error
		ranges string
	}{
		"down":              {apitest.ErrPrivate, ""},
		"bytes are missing": {nil, ""},
		"range":             {apitest.ErrPrivate, "bytes=10-"},
		"ranges":            {apitest.ErrPrivate, "bytes=0-1,10-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.files.add("file-1", "user-ann", "a.txt", make([]byte, size))
			env.files.content = func(f *core.File) io.ReadSeekCloser {
				return &faulty{size: f.Size, until: size / 2, err: c.err}
			}
			s := env.server(t)
			res := env.send(t, s, "GET", downloadPath, nil, "Range: "+c.ranges)
			n, err := io.Copy(io.Discard, res.Body)
			if res.StatusCode/100 != 2 || err == nil || n >= size-10 {
				t.Errorf("got %s, %d bytes and error %v, want an interrupted download", res.Status, n, err)
			}
			s.Close() // waits for the handler
			if l := env.Log(); !strings.Contains(l, "aborted a download") || !strings.Contains(l, "file_id=file-1") ||
				!strings.Contains(l, "msg=request") {
				t.Errorf("got log %s, want the aborted download of file-1", l)
			}
		})
	}
}

// stuckWriter is a client that stops reading after the header.
type stuckWriter struct {
	http.ResponseWriter
	set []time.Time
}

func (w *stuckWriter) SetWriteDeadline(t time.Time) error {
	w.set = append(w.set, t)
	return nil
}

func TestDownload_extendsWriteDeadline(t *testing.T) {
	t.Parallel()
	env := newEnv(t, idle(time.Nanosecond))
	env.files.add("file-1", "user-ann", "a.txt", make([]byte, 1<<20))
	w := &stuckWriter{ResponseWriter: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), "GET", downloadPath, nil)
	r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
	env.API.Handler().ServeHTTP(w, r)
	// The first deadline is that of the header.
	if len(w.set) != 17 || !w.set[16].After(w.set[1]) {
		t.Errorf("the write deadline was set to %v, want 16 increasing times", w.set)
	}
}

func TestDownload_stalledClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t, idle(50*time.Millisecond))
	const size = 64 << 20
	f := env.files.add("file-1", "user-ann", "a.txt", nil)
	f.Size = size
	closed := make(chan struct{})
	env.files.content = func(f *core.File) io.ReadSeekCloser {
		return &closing{&faulty{size: f.Size, until: f.Size}, closed}
	}
	res := env.send(t, env.server(t), "GET", downloadPath, nil)
	<-closed // although the client does not read
	if n, err := io.Copy(io.Discard, res.Body); err == nil || n == size {
		t.Errorf("got %d bytes and error %v, want an interrupted download", n, err)
	}
}

type closing struct {
	*faulty
	closed chan struct{}
}

func (c *closing) Close() error {
	close(c.closed)
	return nil
}

func TestDownload_ofUpload(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	want := bytes.Repeat([]byte("0123456789abcdef\r\n"), 50000)
	body := io.MultiReader(
		strings.NewReader("--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"),
		bytes.NewReader(want), strings.NewReader("\r\n"+formEnd),
	)
	s := env.server(t)
	made := env.send(t, s, "POST", "/v1/files/upload", body, formType)
	got, err := io.ReadAll(env.send(t, s, "GET", made.Header.Get("Location")+"/download", nil).Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes (%v)", len(got), len(want), err)
	}
	part, err := io.ReadAll(env.send(t, s, "GET", made.Header.Get("Location")+"/download", nil,
		fmt.Sprintf("Range: bytes=%d-", len(want)-5)).Body)
	if err != nil || !bytes.Equal(part, want[len(want)-5:]) {
		t.Errorf("got last bytes %q (%v), want %q", part, err, want[len(want)-5:])
	}
}
