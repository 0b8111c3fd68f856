package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

// FuzzUpload checks that mime/multipart accepts each accepted upload and reads the same bytes.
func FuzzUpload(f *testing.F) {
	const head, end = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n", "\r\n--b--\r\n"
	for _, s := range []string{
		head + "bytes" + end, head + end, head + "cut", "--b--\r\n",
		"", head + "a" + end + "more", head + "a\r\n" + head + "b" + end,
		"--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a\":1}\r\n" + head + "x" + end,
		head + "x\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n[1]" + end,
		"--b\r\n\r\nx" + end, "--b\r\nA: " + strings.Repeat("a", 20000) + "\r\n\r\n" + end,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, name, err := readForm(t, body)
		if err != nil {
			apitest.WantPublicError(t, err)
			return
		}
		if err := core.CheckFileName("file", name); err != nil {
			t.Errorf("the upload accepted the name %q: %v", name, err)
		}
		r := multipart.NewReader(bytes.NewReader(append(slices.Clip(body), "\r\n"...)), "b")
		for {
			p, err := r.NextRawPart()
			if err != nil {
				t.Fatalf("mime/multipart rejects a body that the upload accepted: %v", err)
			}
			if p.FormName() != "file" {
				continue
			}
			want, err := io.ReadAll(p)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q, and Go reads %q (%v)", got, want, err)
			}
			return
		}
	})
}

// readForm reads an upload to its end.
func readForm(t *testing.T, body []byte) (content []byte, name string, err error) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	in := &idleTimeoutReader{body: bytes.NewReader(body), control: http.NewResponseController(w), timeout: time.Minute}
	form, err := openForm(r, in)
	if err != nil {
		return nil, "", err
	}
	content, err = io.ReadAll(form)
	return content, form.upload.Name, err
}

// FuzzMetadata checks that merged metadata is an object within the limits, and that merging the same
// patch again changes nothing.
func FuzzMetadata(f *testing.F) {
	for _, s := range []string{
		`{"a":null}`, `{}`, `null`, `[1]`, `{"a":{"b":null,"c":12345678901234567890.123}}`, `{"a":1e400}`, `{"a":"<&>"}`, `1`,
	} {
		f.Add(`{"a":{"b":1},"c":[1]}`, s)
	}
	f.Fuzz(func(t *testing.T, now, patch string) {
		have, err := checkMetadata([]byte(now))
		if err != nil {
			apitest.WantPublicError(t, err)
			return
		}
		if api.CheckJSON([]byte(patch), "metadata") != nil {
			return
		}
		merged, err := mergeMetadata(have, json.RawMessage(patch))
		if err != nil {
			apitest.WantPublicError(t, err)
			return
		}
		if _, err := checkMetadata(merged); err != nil {
			t.Fatalf("mergeMetadata(%s, %s) = %s, which is invalid: %v", now, patch, merged, err)
		}
		if again, err := mergeMetadata(merged, json.RawMessage(patch)); err != nil || string(again) != string(merged) {
			t.Errorf("mergeMetadata(%s, %s) = %s, and merged again %s (%v)", now, patch, merged, again, err)
		}
	})
}

// FuzzContentDisposition checks that a client decodes the name of the file, and that the name cannot add
// a header.
func FuzzContentDisposition(f *testing.F) {
	for _, s := range []string{"report.pdf", `a"b.txt`, "é 1.txt", "a;b=c", "%41.txt", "ü%22", "a'b''c", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if core.CheckFileName("file", name) != nil {
			return
		}
		header := attachment(name)
		if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("attachment(%q) = %q, want printable ASCII", name, header)
		}
		kind, params, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" || params["filename"] != name {
			t.Errorf("attachment(%q) = %s, which mime reads as %q (%v)", name, header, params["filename"], errors.Join(err))
		}
	})
}
