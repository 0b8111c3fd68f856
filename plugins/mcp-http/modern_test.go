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

// mcpHeaders returns the headers that repeat a message, without their prefix.
func mcpHeaders(h http.Header) map[string]string {
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
		got <- mcpHeaders(r.Header)
		m, _ := parseMessage([]byte(bodyOf(r)))
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
		{
			"tools/call",
			`,"name":"bound","arguments":{"region":"eu west","n":42,"b":false,"bad":"x","free":"y","o":{"deep":"é"}}`,
			map[string]string{
				"Name": "bound", "Param-Region": "eu west", "Param-N": "42", "Param-B": "false", "Param-Deep": "=?base64?w6k=?=",
			},
		},
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
			t.Errorf("headers of %s %s = %v, want %v", tt.method, tt.params, headers, want)
		}
		receive(t, c)
	}
	send(t, c, `{"jsonrpc":"2.0","method":"notifications/x"}`)
	if headers := <-got; headers["Protocol-Version"] != "2026-07-28" || headers["Method"] != "notifications/x" {
		t.Errorf("headers of the notification = %v", headers)
	}
}

// A host that has tried the modern protocol on a legacy server starts over with initialize.
func TestFallbackToLegacy(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		switch {
		case strings.Contains(body, "server/discover"):
			w.WriteHeader(http.StatusBadRequest)
		case len(mcpHeaders(r.Header)) > 0:
			t.Errorf("%s has the headers %v, want none", body, mcpHeaders(r.Header))
		case body == initialize:
			answer(w, initializeResult)
		}
	})
	send(t, c, `{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{`+meta+`}}`)
	want(t, c, `"id":"d"`, "400 Bad Request")
	send(t, c, initialize)
	want(t, c, initializeResult)
}

// A cancellation ends the HTTP request to a modern server, and the host gets no answer.
func TestModernCancel(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		switch {
		case strings.Contains(body, "slow"):
			events(w, "id: 7\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"started\"}\n\n")
			<-r.Context().Done()
			close(done)
		case strings.Contains(body, "cancelled"):
			t.Error("the server received a cancellation")
		default:
			answer(w, `{"jsonrpc":"2.0","id":2,"result":{}}`)
		}
	})
	send(t, c, `{"jsonrpc":"2.0","id":"one","method":"slow","params":{`+meta+`}}`)
	want(t, c, "started")
	cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"one","reason":"r"}}`
	send(t, c, cancel)
	select {
	case <-done:
	case <-time.After(testTimeout):
		t.Fatal("the request is still running after the cancellation")
	}
	send(t, c, cancel) // a second cancellation has no effect
	send(t, c, `{"jsonrpc":"2.0","id":2,"method":"x","params":{`+meta+`}}`)
	want(t, c, `"id":2`)
}

// An interrupted stream of a modern server is not resumed, because the protocol has no way
// to do so.
func TestModernStream_interrupted(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			t.Errorf("got a %s request, want only POST", r.Method)
		}
		events(w, "id: 7\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"started\"}\n\n")
	})
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{`+meta+`}}`)
	want(t, c, "started")
	want(t, c, `"id":1`, "before its response")
}

// A tool whose schema the host has not requested is called with its headers, too.
func TestToolHeaders_fetchedOnDemand(t *testing.T) {
	t.Parallel()
	const headerError = `{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"missing Mcp-Param-Region"}}`
	for _, canList := range []bool{true, false} {
		var calls atomic.Int32
		c := connect(t, func(w http.ResponseWriter, r *http.Request) {
			m, _ := parseMessage([]byte(bodyOf(r)))
			switch {
			case m.head.Method == "tools/list" && !canList:
				w.WriteHeader(http.StatusInternalServerError)
			case m.head.Method == "tools/list" && m.params["cursor"] == nil:
				answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[],"nextCursor":"2"}}`, m.head.ID))
			case m.head.Method == "tools/list":
				answer(w,
					fmt.Sprintf(
						`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","inputSchema":{"properties":{"r":{"type":"string","x-mcp-header":"Region"}}}}]}}`, m.head.ID,
					))
			case r.Header.Get("Mcp-Param-Region") == "eu":
				answer(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
			default:
				calls.Add(1)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(headerError))
			}
		})
		send(t, c, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"r":"eu"},`+meta+`}}`)
		if canList {
			want(t, c, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		} else {
			want(t, c, headerError)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("got %d calls without headers, want 1", n)
		}
	}
}
