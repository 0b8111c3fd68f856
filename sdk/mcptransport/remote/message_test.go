package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestHeadOf(t *testing.T) {
	t.Parallel()
	tests := []struct{ message, id, method string }{
		{`{"jsonrpc":"2.0","id":1,"method":"x"}`, `1`, "x"},
		{`{"method":"x","id":"a\"b\\"}`, `"a\"b\\"`, "x"},
		{` { "id" : -1.5e3 , "result" : { "id" : 2, "method":"no" } } `, `-1.5e3`, ""},
		{`{"result":["id",{"method":"no"}],"id":null}`, `null`, ""},
		{`{"\u0069d":7,"m\u0065thod":"\u0078"}`, `7`, "x"},
		{`{"x":"}\",\"id\":3","id":4}`, `4`, ""},
		{`{"params":{},"method":"n"}`, ``, "n"},
		{`{"id":{"a":1},"method":5}`, ``, ""},
		{`{}`, ``, ""},
		{`[{"id":1}]`, ``, ""},
	}
	for _, tt := range tests {
		if h := HeadOf([]byte(tt.message)); string(h.ID) != tt.id || h.Method != tt.method {
			t.Errorf("HeadOf(%s) = %s, %s, want %s, %s", tt.message, h.ID, h.Method, tt.id, tt.method)
		}
	}
}

// The head of a message does not depend on how the message is split into writes, and it agrees
// with encoding/json.
func TestScanner_anySplitOfAnyMessage(t *testing.T) {
	t.Parallel()
	values := []string{
		`1`, `"a"`, `"\\\""`, `null`, `true`, `{"id":9,"method":"no"}`, `[{"id":9},"id"]`, `"\u0069d"`, `{}`, `[]`,
	}
	keys := []string{`"id"`, `"method"`, `"result"`, `"a\\"`, `"\""`, `"ID"`}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var members []string
		for _, key := range random.Perm(len(keys))[:random.IntN(len(keys))] {
			members = append(members, keys[key]+": "+values[random.IntN(len(values))])
		}
		message := "{" + strings.Join(members, ", ") + "}"
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(message), &object); err != nil {
			t.Fatal(err)
		}
		var s scanner
		for rest := message; rest != ""; {
			n := 1 + random.IntN(len(rest))
			s.write([]byte(rest[:n]))
			rest = rest[n:]
		}
		var method string
		_ = json.Unmarshal(object["method"], &method)
		id := string(object["id"])
		if strings.HasPrefix(id, "{") || strings.HasPrefix(id, "[") {
			id = ""
		}
		if string(s.head.ID) != id || s.head.Method != method {
			t.Errorf("head of %s = (id %s, method %q), want (id %s, method %q)", message, s.head.ID, s.head.Method, id, method)
		}
	}
}

func TestWithID(t *testing.T) {
	t.Parallel()
	got := WithID([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"<&>","data":1.0}}`),
		json.RawMessage(`"a<"`))
	if want := `{"error":{"code":-1,"message":"<&>","data":1.0},"id":"a<","jsonrpc":"2.0"}`; string(got) != want {
		t.Errorf("WithID = %s, want %s", got, want)
	}
}

func read(r io.Reader, limit int) (found []Event) {
	events := NewEvents(r, limit)
	for {
		e, err := events.Next()
		if err != nil {
			return found
		}
		found = append(found, e)
	}
}

func show(events []Event) (lines []string) {
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%s|%s|%s|%v|%s", e.Name, e.ID, e.Data, e.Retry, e.Head.ID))
	}
	return lines
}

func TestEvents_Next(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string
	}{
		{"plain", "data: a\n\n", []string{"message||a|0s|"}},
		{"one space goes", "data:  a \n\ndata:b\n\n", []string{"message|| a |0s|", "message||b|0s|"}},
		{"lines", "data: a\ndata:\ndata: b\n\n", []string{"message||a\n\nb|0s|"}},
		{"all line ends", "data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", []string{"message||a|0s|", "message||b|0s|", "message||c|0s|"}},
		{"all fields", "event: e\nid: 7\nretry: 250\ndata: a\n\n", []string{"e|7|a|250ms|"}},
		{"what stays", "id: 7\nretry: 5\n\ndata: a\n\nid\ndata: b\n\n", []string{"message|7||5ms|", "message|7|a|5ms|", "message||b|5ms|"}},
		{"comments and unknown fields", ": x\n\n:\nfoo: bar\nbaz\ndata: a\n\n", []string{"message||a|0s|"}},
		{"what is no id or retry", "id: a\x00b\nretry: soon\nretry: -1\ndata: a\n\n", []string{"message||a|0s|"}},
		{"cut", "data: a\n\ndata: b\n", []string{"message||a|0s|"}},
		{"nothing", "", nil},
		{"too long", "id: 1\ndata: {\"id\":5,\"x\":\"" + strings.Repeat("x", 100) + "\"}\n\ndata: a\n\n", []string{"message|1||0s|5", "message|1|a|0s|"}},
		{"too long in lines", "data: {\"x\":\"" + strings.Repeat("x", 25) + "\",\ndata: \"y\":1,\ndata: \"id\":\ndata: 6}\n\n", []string{"message|||0s|6"}},
		{"a long comment", ":" + strings.Repeat("x", 100) + "\ndata: a\n\n", []string{"message||a|0s|"}},
	}
	for _, tt := range tests {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(tt.text), "bytes": iotest.OneByteReader(strings.NewReader(tt.text)),
			"broken": io.MultiReader(strings.NewReader(tt.text), iotest.ErrReader(errors.New("broken"))),
		} {
			if got := show(read(r, 40)); !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: %q; want %q", tt.name, name, got, tt.want)
			}
		}
	}
}

// Next returns an event as soon as it is complete, without waiting for the following one.
func TestEvents_notDelayed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"data: a\n\n", "data: a\r\r", "data: a\r\n\r\n"} {
		r, w := io.Pipe()
		go func() { _, _ = io.WriteString(w, text) }()
		got := make(chan Event, 1)
		go func() {
			e, _ := NewEvents(r, 40).Next()
			got <- e
		}()
		select {
		case e := <-got:
			if string(e.Data) != "a" {
				t.Errorf("first event of %q = %+v, want data a", text, e)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("the event of %q did not arrive", text)
		}
		_ = w.Close()
	}
}
