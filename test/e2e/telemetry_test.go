package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/test/openaitest"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
	// promptSecret must not be in any span or metric.
	promptSecret = "the-secret-of-the-prompt"
)

// adder is an MCP server over HTTP with a tool that adds. It records the trace context of each call.
type adder struct {
	url string

	mu            sync.Mutex
	headers, meta []string
}

func newAdder(t *testing.T) *adder {
	t.Helper()
	a := &adder{}
	s := mcp.NewServer(&mcp.Implementation{Name: "adder", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "add", Description: "adds"},
		func(_ context.Context, r *mcp.CallToolRequest, in struct{ A, B int }) (*mcp.CallToolResult, any, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.headers = append(a.headers, r.Extra.Header.Get("Traceparent"))
			a.meta = append(a.meta, fmt.Sprint(r.Params.Meta["traceparent"]))
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: itoa(in.A + in.B)}}}, nil, nil
		})
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	t.Cleanup(h.Close)
	a.url = h.URL
	return a
}

const httpPlugin = `
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}
`

// calculator creates an agent that may use the adder, and returns its id.
func calculator(t *testing.T, c *client, a *adder) string {
	t.Helper()
	id := decode[struct{ ID string }](t, c.post("/v1/mcp-servers/", object{
		"name": "adder", "slug": "adder", "transport": "http", "config": object{"url": a.url},
	}).want(t, 201)).ID
	c.waitMCPServer(id, "the MCP server to run", running)
	return decode[struct{ ID string }](t,
		c.post("/v1/agents/", object{"name": "Calculator", "type": "chat", "config": object{
			"model": "gpt-4o", "mcp_servers": []string{"adder"},
		}}).want(t, 201)).ID
}

// answerWithTool calls the adder first and then answers.
func answerWithTool(r *openaitest.Request) openaitest.Reply {
	if r.Messages[len(r.Messages)-1].Role == "user" {
		return openaitest.Tools(toolCall(1, "adder__add", `{"A":40,"B":2}`))
	}
	return openaitest.Text("It is 42.")
}

// A chat with a tool call is one trace: the client's, through the server to the provider and the tool.
func TestTrace(t *testing.T) {
	t.Parallel()
	collector, tool := newOTLP(t), newAdder(t)
	up := openaitest.New(openaitest.Options{Answer: answerWithTool})
	base, err := up.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	s := newServer(t, pluginsHCL(base)+httpPlugin)
	s.env = append(s.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.url, "OTEL_BSP_SCHEDULE_DELAY=50",
		"AGENTAREA_LOG_FORMAT=json")
	s.start()
	c := s.signIn()
	agent := calculator(t, c, tool)
	r := c.do("POST", "/v1/agents/"+agent+"/chat", object{"message": promptSecret, "session_id": "s"},
		"traceparent: "+traceparent, "X-Request-ID: req-of-the-test")
	run := decode[chatReply](t, r.want(t, 200)).Metadata.RunID

	byName := map[string][]span{}
	eventually(t, "the request's span", func() bool {
		clear(byName)
		for _, sp := range collector.trace(traceID) {
			byName[sp.name] = append(byName[sp.name], sp)
		}
		return len(byName["POST /v1/agents/{agent_id}/chat"]) == 1 && len(byName["invoke_agent Calculator"]) == 1
	})
	one := func(name string, n int) span {
		t.Helper()
		if len(byName[name]) != n {
			t.Fatalf("got %d spans %q, want %d, in %+v", len(byName[name]), name, n, byName)
		}
		return byName[name][0]
	}
	request := one("POST /v1/agents/{agent_id}/chat", 1)
	invoke := one("invoke_agent Calculator", 1)
	chat := one("chat gpt-4o", 2)
	use := one("execute_tool adder__add", 1)
	loop := one("agentarea.agent.v1.AgentService/Run", 1)
	completion := one("agentarea.llm.v1.LLMService/Chat", 2)
	for child, parent := range map[*span]string{
		&request: "b7ad6b7169203331", &invoke: request.id, &loop: invoke.id,
		&chat: invoke.id, &use: invoke.id, &completion: chat.id,
	} {
		if child.parent != parent {
			t.Errorf("%s: got parent %s, want %s", child.name, child.parent, parent)
		}
	}
	wantAttributes(t, request, map[string]any{
		"http.request.method": "POST", "http.route": "/v1/agents/{agent_id}/chat",
		"http.response.status_code": int64(200), "agentarea.request_id": "req-of-the-test",
	})
	wantAttributes(t, invoke, map[string]any{
		"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.id": agent, "gen_ai.agent.name": "Calculator",
		"gen_ai.conversation.id": "s", "agentarea.run.id": run, "agentarea.run.status": "completed",
	})
	wantAttributes(t, chat, map[string]any{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
		"gen_ai.request.model": "gpt-4o", "gen_ai.response.finish_reasons": "tool_calls",
	})
	if n, _ := chat.attributes["gen_ai.usage.input_tokens"].(int64); n == 0 {
		t.Errorf("got attributes %v, want input tokens", chat.attributes)
	}
	wantAttributes(t, use,
		map[string]any{
			"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "adder__add", "gen_ai.tool.call.id": "call_1",
		})
	for _, sent := range up.Requests() {
		if got := sent.Header.Get("Traceparent"); !strings.HasPrefix(got, "00-"+traceID+"-") {
			t.Errorf("the provider got traceparent %q, want the trace %s", got, traceID)
		}
	}
	tool.mu.Lock()
	defer tool.mu.Unlock()
	if want := "00-" + traceID + "-" + use.id + "-01"; len(tool.meta) != 1 || tool.meta[0] != want ||
		tool.headers[0] != want {
		t.Errorf("the tool got traceparent %q in _meta and %q in the header, want %s", tool.meta, tool.headers, want)
	}
	collector.mu.Lock()
	defer collector.mu.Unlock()
	for _, secret := range []string{promptSecret, "It is 42", c.token, "sk-of-the-test", adminPassword} {
		if bytes.Contains(collector.raw, []byte(secret)) {
			t.Errorf("the spans contain %q", secret)
		}
	}
}

func wantAttributes(t *testing.T, s span, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if s.attributes[key] != value {
			t.Errorf("%s: got %s %v, want %v", s.name, key, s.attributes[key], value)
		}
	}
}

// The log lines of a failed completion have the ids of the request, the run and the user.
func TestLogOfFailedChat(t *testing.T) {
	t.Parallel()
	base := upstream(t,
		openaitest.Options{Answer: func(*openaitest.Request) openaitest.Reply { return openaitest.NoQuota() }})
	s := newServer(t, strings.Replace(pluginsHCL(base), "sk-of-the-test\"", "sk-of-the-test\"\n    max_retries = 0", 1))
	s.env = append(s.env, "AGENTAREA_LOG_FORMAT=json")
	s.start()
	c := s.signIn()
	id := c.post("/v1/agents/"+c.newAgent("gpt-4o")+"/chat", object{"message": "Hello"}).want(t, 503).failure(t).RequestID
	c.get("/v1/agents/x%0alevel=ERROR%20msg=injected").want(t, 404)

	type line struct {
		Msg       string
		RequestID string `json:"request_id"`
		RunID     string `json:"run_id"`
		UserID    string `json:"user_id"`
		Error     string
	}
	var failed, request line
	eventually(t, "both log lines", func() bool {
		for _, text := range strings.Split(strings.TrimSpace(s.stderr.String()), "\n") {
			var l line
			if json.Unmarshal([]byte(text), &l) != nil || l.RequestID != id {
				continue
			}
			switch l.Msg {
			case "run failed":
				failed = l
			case "request":
				request = l
			}
		}
		return failed.Msg != "" && request.Msg != ""
	})
	if failed.RunID == "" || failed.UserID == "" || failed.UserID != request.UserID ||
		!strings.Contains(failed.Error, "credit") {
		t.Errorf("got log lines %+v for the run and %+v for the request", failed, request)
	}
	for _, text := range strings.Split(strings.TrimSpace(s.stderr.String()), "\n") {
		if !json.Valid([]byte(text)) {
			t.Errorf("the log line is not JSON: %s", text)
		}
	}
}

var metricName = regexp.MustCompile(`(?m)^# TYPE (\S+) `)

// docs/telemetry.md has every metric. Metrics contain no ids, names or secrets.
func TestMetrics(t *testing.T) {
	t.Parallel()
	tool := newAdder(t)
	s := newServer(t, pluginsHCL(upstream(t, openaitest.Options{Answer: answerWithTool}))+httpPlugin)
	s.env = append(s.env, "AGENTAREA_METRICS_TOKEN=token-of-the-test")
	s.start()
	c := s.signIn()
	agent := calculator(t, c, tool)
	c.chat(agent, "s", promptSecret)
	c.waitTask(c.newTask(c.newAgent("echo"), "Sum up").ID)
	c.get("/v1/agents/agent-that-is-not/").want(t, 404)
	c.get("/nothing/"+promptSecret).want(t, 404)
	c.do("BREW", "/v1/agents/", nil).want(t, 405)
	s.anonymous().post("/v1/auth/login", object{"username": "admin", "password": "no"}).want(t, 401)

	s.anonymous().get("/metrics").want(t, 401)
	s.anonymous().do("GET", "/metrics", nil, "Authorization: Bearer token").want(t, 401)
	text := string(c.do("GET", "/metrics", nil, "Authorization: Bearer token-of-the-test").want(t, 200).body)
	for _, want := range []string{
		`http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",http_route="/v1/agents/{agent_id}/chat"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",http_route="none"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="_OTHER",http_response_status_code="405",http_route="none"} 1`,
		`agentarea_runs_ended_total{kind="chat",status="completed"} 1`,
		`agentarea_runs_ended_total{kind="task",status="completed"} 1`,
		`agentarea_runs_active{kind="chat"} 0`,
		`gen_ai_client_operation_duration_seconds_count{error_type="",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"} 2`,
		`gen_ai_client_token_usage_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",gen_ai_token_type="output"} 2`,
		`gen_ai_execute_tool_duration_seconds_count{outcome="ok"} 1`,
		`agentarea_plugin_call_duration_seconds_count{code="OK",kind="llm",label="openai",method="Chat"} 2`,
		`agentarea_plugin_call_duration_seconds_count{code="OK",kind="agent",label="chat",method="Run"} 2`,
		`agentarea_mcp_servers{status="running"} 1`,
		`agentarea_tasks_waiting{priority="medium",status="due"} 0`,
		`agentarea_sign_ins_total{outcome="ok"} 1`,
		`agentarea_sign_ins_total{outcome="refused"} 1`,
		`agentarea_plugin_up{kind="llm",label="echo"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the metrics do not contain %s", want)
		}
	}
	for _, secret := range []string{promptSecret, agent, "token-of-the-test", "sk-of-the-test", adminPassword, "adder"} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics contain %q", secret)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "telemetry.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range metricName.FindAllStringSubmatch(text, -1) {
		name := found[1]
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("docs/telemetry.md does not mention %s", name)
		}
	}
}
