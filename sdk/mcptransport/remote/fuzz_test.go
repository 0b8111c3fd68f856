package remote_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// The events of a stream do not depend on how the stream is split, and no event exceeds the limit.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{
		"data: {\"a\":1}\n\n", "event: x\r\nid: 7\r\ndata:a\r\ndata: b\r\n\r\n", ": comment\n\ndata\n\n",
		"retry: 100\n\n", "data: cut", "\r\r\n\n", "id: a\x00b\n\n", "data: 0123456789012345678901234567890123456789\n\n",
		"data: 0123456789\ndata: {\"id\":1,\"method\":\"x\"}\ndata: 0123456789\n\n",
		"event: " + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\n", "\xef\xbb\xbfdata: a\n\n",
	} {
		f.Add([]byte(s))
	}
	const limit = 32
	read := func(t *testing.T, r io.Reader) (all []remote.Event) {
		t.Helper()
		events := remote.NewEvents(r, limit)
		for {
			e, err := events.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				return all
			}
			e.Data = bytes.Clone(e.Data)
			all = append(all, e)
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		want := read(t, bytes.NewReader(stream))
		if pieces := read(t, iotest.OneByteReader(bytes.NewReader(stream))); !reflect.DeepEqual(want, pieces) {
			t.Errorf("events of %q = %+v, read byte by byte = %+v", stream, want, pieces)
		}
		for _, e := range want {
			if len(e.Data) > limit+len("data: ") || e.TooLong && e.Data != nil || bytes.ContainsAny(e.Data, "\r") {
				t.Errorf("events of %q contain the invalid %+v", stream, e)
			}
		}
	})
}

// The head of a message agrees with encoding/json, and replacing the ID changes nothing else.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		`{"id":1,"method":"a"}`, `{"result":{"id":2},"id":"x"}`, `{"method":"\u0061","id":null}`, `{"a":[{"id":1}],"id":3}`,
		`{"id":{"id":1}}`, `{"\u0069d":1}`, `{"x":"\"id\":1","id":-0.5e3}`,
		"{\n\"id\"\t: 1 }", `{"id":1,"id":2}`, `{"":1}`, `{"id":"a\\"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var members map[string]json.RawMessage
		if json.Unmarshal(message, &members) != nil || members == nil || len(message) > 2048 {
			return
		}
		head := remote.HeadOf(message)
		var method string
		if json.Unmarshal(members["method"], &method) == nil && method != "" && head.Method != method {
			t.Errorf("HeadOf(%q).Method = %q, want %q", message, head.Method, method)
		}
		if id := members["id"]; len(id) > 0 && id[0] != '{' && id[0] != '[' && !bytes.Equal(head.ID, id) {
			t.Errorf("HeadOf(%q).ID = %q, want %q", message, head.ID, id)
		}
		var after map[string]json.RawMessage
		if err := json.Unmarshal(remote.WithID(message, json.RawMessage(`"new"`)), &after); err != nil ||
			string(after["id"]) != `"new"` {
			t.Errorf("WithID(%q) = %v, %v, want the new id", message, after, err)
		}
	})
}

// Each message in a body is an object on one line.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		`{"a":1}`, `[{"a":1},{"b":2}]`, "[\n{\"a\"\r\n:1}]", `[]`, `[1]`, `[[{}]]`, ` {} `, `"x"`, "", " ", "\t",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, err := remote.Messages(body)
		if err != nil {
			return
		}
		for _, m := range messages {
			if !json.Valid(m) || m[0] != '{' || bytes.ContainsAny(m, "\r\n") {
				t.Errorf("messages of %q contain %q, want JSON objects on one line", body, m)
			}
		}
	})
}
