package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// An error of a run names the run and the request, however the client reads it. So does one of a busy session.
func TestErrorDetails(t *testing.T) {
	t.Parallel()
	c := shared(t).signIn()
	agent := c.newAgent("echo")
	chat := "/v1/agents/" + agent + "/chat"

	answered := c.post(chat, object{"message": "/error content_filter", "session_id": "answered"}).want(t, 502)
	f := answered.failure(t)
	if f.Details.RunID == "" || f.Details.Reason != "content_filter" ||
		f.RequestID != answered.header.Get("X-Request-Id") || c.run(f.Details.RunID).Status != "failed" {
		t.Errorf("a failed chat is answered with %s, want its run and reason", answered.body)
	}

	failing := c.startTurn(agent, "streamed", "/error content_filter")
	last := failing.readAll()
	if last.RunID == "" || last.RunID != last.Error.Details.RunID || last.Error.Details.Reason != "content_filter" ||
		last.Error.RequestID == "" || last.Error.RequestID != failing.header.Get("X-Request-Id") {
		t.Errorf("a failed stream ends with %s, want its run, reason and request", last.data)
	}
	again := c.runEvents(last.RunID, 0)
	if got := again.readAll(); got.Error.RequestID == "" || got.Error.RequestID != again.header.Get("X-Request-Id") ||
		got.ID != last.ID || got.Error.Message != last.Error.Message {
		t.Errorf("the second reader gets %s, want %s with the id of its own request", got.data, last.data)
	}

	talking := c.startTurn(agent, "busy", "/tokens 10000 /delay 10ms")
	talking.readTokens(1)
	run := talking.first().RunID
	for name, r := range map[string]*reply{
		"chat":     c.post(chat, object{"message": "Hello", "session_id": "busy"}),
		"deletion": c.do("DELETE", "/v1/agents/"+agent+"/sessions/busy", nil),
	} {
		f := r.want(t, 409).failure(t)
		want := `Session "busy" is busy with run ` + run + ". Wait for it, or cancel it with POST /v1/runs/" + run + "/cancel."
		if f.Message != want || f.Details.RunID != run || f.Details.Field != "session_id" || f.Details.ID != "busy" {
			t.Errorf("%s in a busy session is answered with %s, want %s", name, r.body, want)
		}
	}
	c.post("/v1/runs/"+run+"/cancel", nil).want(t, 200)

	w := c.dialWebSocket()
	for range 20 {
		w.send(object{"type": "subscribe", "channel": "tasks", "after": 1 << 50})
		var got struct{ Error failure }
		m := w.receive()
		if err := json.Unmarshal([]byte(m.raw), &got); err != nil {
			t.Fatal(err)
		}
		if got.Error.Details.Field != "after" || !strings.Contains(got.Error.Details.Issue, "the seq of the newest message") {
			t.Fatalf("got %s, want an error of the field after", m.raw)
		}
	}
	w.subscribe("tasks")
}
