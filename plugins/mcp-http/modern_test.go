package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// mirrored are the headers that repeat a message.
func mirrored(h http.Header) map[string]string {
	found := map[string]string{}
	for name := range h {
		if strings.HasPrefix(name, "Mcp-") {
			found[strings.TrimPrefix(name, "Mcp-")] = h.Get(name)
		}
	}
	return found
}

func TestModernHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan map[string]string, 1)
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		got <- mirrored(r.Header)
		m, _ := parse([]byte(bodyOf(r)))
		w.Header().Set("Mcp-Session-Id", "not in this era")
		if m.head.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		if m.head.Method != "tools/list" {
			answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.head.ID))
			return
		}
		answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[
			{"name":"plain","inputSchema":{"type":"object"}},
			{"name":"bound","inputSchema":{"type":"object","properties":{
				"region":{"type":"string","x-mcp-header":"Region"},
				"n":{"type":"integer","x-mcp-header":"N"},
				"b":{"type":"boolean","x-mcp-header":"B"},
				"bad":{"type":"string","x-mcp-header":"no token"},
				"free":{"type":"string"},
				"o":{"type":"object","properties":{"deep":{"type":"string","x-mcp-header":"Deep"}}}}}}]}}`, m.head.ID))
	})
	version := map[string]string{"Protocol-Version": "2026-07-28"}
	tests := []struct {
		method, params string
		want           map[string]string
	}{
		{"server/discover", ``, nil},
		{"tools/list", ``, nil},
		{"prompts/get", `,"name":"p"`, map[string]string{"Name": "p"}},
		{"resources/read", `,"uri":"file:///a%20b","name":"no"`, map[string]string{"Name": "file:///a%20b"}},
		{"resources/list", `,"name":"no"`, nil},
		{"tasks/get", `,"taskId":"t-1"`, map[string]string{"Name": "t-1"}},
		{"tools/call", `,"name":"wörld"`, map[string]string{"Name": "=?base64?d8O2cmxk?="}},
		{"tools/call", `,"name":" a"`, map[string]string{"Name": "=?base64?IGE=?="}},
		{"tools/call", `,"name":"=?base64?x?="`, map[string]string{"Name": "=?base64?PT9iYXNlNjQ/eD89?="}},
		{"tools/call", `,"name":"a\r\nX-Evil: 1"`, map[string]string{"Name": "=?base64?YQ0KWC1FdmlsOiAx?="}},
		{"tools/call", `,"name":"plain","arguments":{"region":"eu"}`, map[string]string{"Name": "plain"}},
		{"tools/call", `,"name":"bound","arguments":{"region":"eu west","n":42,"b":false,"bad":"x","free":"y","o":{"deep":"é"}}`, map[string]string{
			"Name": "bound", "Param-Region": "eu west", "Param-N": "42", "Param-B": "false", "Param-Deep": "=?base64?w6k=?=",
		}},
		{"tools/call", `,"name":"bound","arguments":{"region":null,"n":1.5,"o":7}`, map[string]string{"Name": "bound"}},
		{"tools/call", `,"name":"bound","arguments":{"n":9007199254740993}`, map[string]string{"Name": "bound"}},
		{"tools/call", `,"name":"bound","arguments":{"n":-3.0}`, map[string]string{"Name": "bound", "Param-N": "-3"}},
	}
	for i, tt := range tests {
		send(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"%s","params":{%s%s}}`, i, tt.method, meta, tt.params))
		want := maps.Clone(version)
		want["Method"] = tt.method
		maps.Copy(want, tt.want)
		if headers := <-got; !maps.Equal(headers, want) {
			t.Errorf("%s %s: %v; want %v", tt.method, tt.params, headers, want)
		}
		receive(t, c)
	}
	send(t, c, `{"jsonrpc":"2.0","method":"notifications/x"}`)
	if headers := <-got; headers["Protocol-Version"] != "2026-07-28" || headers["Method"] != "notifications/x" {
		t.Errorf("notification: %v", headers)
	}
}

// A host that has asked a legacy server in the modern way begins anew.
func TestFallsBack(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		switch {
		case strings.Contains(body, "server/discover"):
			w.WriteHeader(http.StatusBadRequest)
		case len(mirrored(r.Header)) > 0:
			t.Errorf("%s: %v", body, mirrored(r.Header))
		case body == initialize:
			answer(w, welcomed)
		}
	})
	send(t, c, `{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{`+meta+`}}`)
	want(t, c, `"id":"d"`, "400 Bad Request")
	send(t, c, initialize)
	want(t, c, welcomed)
}

// A modern server learns of a cancel by the end of the request, and the host gets
// no answer.
func TestModernCancel(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		switch {
		case strings.Contains(body, "slow"):
			events(w, "id: 7\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"begun\"}\n\n")
			<-r.Context().Done()
			close(gone)
		case strings.Contains(body, "cancelled"):
			t.Error("the server got a cancel")
		default:
			answer(w, `{"jsonrpc":"2.0","id":2,"result":{}}`)
		}
	})
	send(t, c, `{"jsonrpc":"2.0","id":"one","method":"slow","params":{`+meta+`}}`)
	want(t, c, "begun")
	cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"one","reason":"r"}}`
	send(t, c, cancel)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the request goes on")
	}
	send(t, c, cancel) // again, and for nothing
	send(t, c, `{"jsonrpc":"2.0","id":2,"method":"x","params":{`+meta+`}}`)
	want(t, c, `"id":2`)
}

// A modern stream that breaks is not taken up again: there is no way to.
func TestModernStreamBreaks(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			t.Errorf("%s", r.Method)
		}
		events(w, "id: 7\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"begun\"}\n\n")
	})
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{`+meta+`}}`)
	want(t, c, "begun")
	want(t, c, `"id":1`, "broke the connection before its answer")
}

// A tool whose schema nobody has asked for is called with its headers all the same.
func TestHeadersAreLearnt(t *testing.T) {
	t.Parallel()
	const refusal = `{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"missing Mcp-Param-Region"}}`
	for _, lists := range []bool{true, false} {
		var calls atomic.Int32
		c := connect(t, func(w http.ResponseWriter, r *http.Request) {
			m, _ := parse([]byte(bodyOf(r)))
			switch {
			case m.head.Method == "tools/list" && !lists:
				w.WriteHeader(http.StatusInternalServerError)
			case m.head.Method == "tools/list" && m.params["cursor"] == nil:
				answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[],"nextCursor":"2"}}`, m.head.ID))
			case m.head.Method == "tools/list":
				answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","inputSchema":{"properties":{"r":{"type":"string","x-mcp-header":"Region"}}}}]}}`, m.head.ID))
			case r.Header.Get("Mcp-Param-Region") == "eu":
				answer(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
			default:
				calls.Add(1)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(refusal))
			}
		})
		send(t, c, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"r":"eu"},`+meta+`}}`)
		if lists {
			want(t, c, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		} else {
			want(t, c, refusal)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d refusals", n)
		}
	}
}
