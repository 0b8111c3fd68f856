package api

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
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/agentarea/agentarea/core"
)

// wantShown wants an error that the caller may read, and none that becomes a 500.
func wantShown(t *testing.T, err error) {
	t.Helper()
	if r := NewErrorReply(err, "req-1"); r.status >= 500 || r.Failure.Message == "" {
		t.Errorf("%v becomes %d %q", err, r.status, r.Failure.Message)
	}
}

// A body that passes is JSON within the limits, without a NUL anywhere.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"name":"a"}`, `[1,2e400]`, `"\u0000"`, `{"\u0000":1}`, `{"a":"\\u0000"}`, "{\"a\":\"\xff\"}", `{"a":1}x`, strings.Repeat("[", 65) + strings.Repeat("]", 65), `"[[["`, `{"a":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := CheckJSON(body, "")
		if err != nil {
			wantShown(t, err)
			return
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil || !utf8.Valid(body) {
			t.Fatalf("%q is taken: %v", body, err)
		}
		if field, found := nulIn(v, ""); found {
			t.Errorf("%q has a NUL in %s", body, field)
		}
		if n := deepest(v); n > MaxJSONDepth {
			t.Errorf("it is %d deep", n)
		}
	})
}

func deepest(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n = max(n, deepest(e))
		}
		return n + 1
	case map[string]any:
		for _, e := range v {
			n = max(n, deepest(e))
		}
		return n + 1
	}
	return n
}

// An upload that is taken is one that Go's own reader takes, with the same bytes.
func FuzzUpload(f *testing.F) {
	const head, end = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n", "\r\n--b--\r\n"
	for _, s := range []string{
		head + "bytes" + end, head + end, head + "cut", "--b--\r\n", "", head + "a" + end + "more", head + "a\r\n" + head + "b" + end,
		"--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a\":1}\r\n" + head + "x" + end,
		head + "x\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n[1]" + end, "--b\r\n\r\nx" + end, "--b\r\nA: " + strings.Repeat("a", 20000) + "\r\n\r\n" + end,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, name, err := readForm(t, body)
		if err != nil {
			wantShown(t, err)
			return
		}
		if err := core.CheckFileName("file", name); err != nil {
			t.Errorf("%q is taken as a name", name)
		}
		r := multipart.NewReader(bytes.NewReader(append(slices.Clip(body), "\r\n"...)), "b")
		for {
			p, err := r.NextRawPart()
			if err != nil {
				t.Fatalf("Go's reader: %v", err)
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
	in := &patient{body: bytes.NewReader(body), control: http.NewResponseController(w), patience: time.Minute}
	form, err := openForm(r, in)
	if err != nil {
		return nil, "", err
	}
	content, err = io.ReadAll(form)
	return content, form.upload.Name, err
}

// Metadata stays an object within its limits whatever is merged into it, and
// the same patch a second time changes nothing.
func FuzzMetadata(f *testing.F) {
	for _, s := range []string{`{"a":null}`, `{}`, `null`, `[1]`, `{"a":{"b":null,"c":12345678901234567890.123}}`, `{"a":1e400}`, `{"a":"<&>"}`, `1`} {
		f.Add(`{"a":{"b":1},"c":[1]}`, s)
	}
	f.Fuzz(func(t *testing.T, now, patch string) {
		have, err := checkMetadata([]byte(now))
		if err != nil {
			wantShown(t, err)
			return
		}
		if CheckJSON([]byte(patch), "metadata") != nil {
			return
		}
		merged, err := mergeMetadata(have, json.RawMessage(patch))
		if err != nil {
			wantShown(t, err)
			return
		}
		if _, err := checkMetadata(merged); err != nil {
			t.Fatalf("%s and %s make %s: %v", now, patch, merged, err)
		}
		if again, err := mergeMetadata(merged, json.RawMessage(patch)); err != nil || string(again) != string(merged) {
			t.Errorf("%s and %s make %s, and once more %s (%v)", now, patch, merged, again, err)
		}
	})
}

// A message of a WebSocket's client is one JSON object and nothing behind it.
func FuzzSocketMessage(f *testing.F) {
	for _, s := range []string{`{"type":"auth","token":"t"}`, `{"type":"subscribe","channel":"tasks","after":7}`, `{"after":-1}`, `{"type":"a"}}`, `{"type":"a"} {}`, `null`, `{"TYPE":"a"}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := parseFrame(websocket.MessageText, data)
		if err != nil {
			wantShown(t, err)
			return
		}
		if !json.Valid(data) {
			t.Errorf("%q is taken", data)
		}
		if frame.After != nil && *frame.After < 0 {
			t.Errorf("after is %d", *frame.After)
		}
	})
}

// What headers and parameters say is told back as it was meant.
func FuzzParameters(f *testing.F) {
	for _, s := range []string{"2025-01-31T12:00:00Z", "2025-01-31T12:00:00.5+01:00", "2025-01-31T12:00:00 01:00", `"v7"`, `W/"v7"`, `"v1", "v7"`, "*", "agent.a.events", "task..events"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := parseBefore(text); err != nil {
			wantShown(t, err)
		} else if again, err := parseBefore(at.Format(time.RFC3339Nano)); text != "" && (err != nil || !again.Equal(at)) {
			t.Errorf("%q is %v, and that %v (%v)", text, at, again, err)
		}
		if CheckIfMatch(text, "agent", 7) == nil && text != "" && text != "*" && !strings.Contains(text, `"v7"`) {
			t.Errorf("%q lets version 7 be changed", text)
		}
		if CheckIfMatch(text, "agent", 7) == nil && strings.HasPrefix(strings.TrimSpace(text), "W/") && !strings.Contains(text, ",") {
			t.Errorf("%q is weak", text)
		}
		if id := requestID(http.Header{"X-Request-Id": {text}}); strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) || len(id) > 64 {
			t.Errorf("the request id is %q", id)
		}
		if token, ok := bearer(text); ok && (token == "" || token != strings.TrimSpace(token)) {
			t.Errorf("the token of %q is %q", text, token)
		}
	})
}

// A file's name comes out of Content-Disposition as it went in, and brings no
// header of its own.
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
			t.Fatalf("%q becomes %q", name, header)
		}
		kind, params, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" || params["filename"] != name {
			t.Errorf("%q becomes %s, which is %q (%v)", name, header, params["filename"], errors.Join(err))
		}
	})
}
