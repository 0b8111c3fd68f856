package telemetry

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// BenchmarkTurn records all metrics of a chat turn without tools.
func BenchmarkTurn(b *testing.B) {
	m := NewMetrics("1")
	h := NewHTTP(m, &Traces{provider: noTraces})
	r := httptest.NewRequest("POST", "/v1/agents/agent-1/chat", nil)
	b.ReportAllocs()
	for b.Loop() {
		_, done := h.Request(r, "req-1")
		closed := h.Stream("sse")
		m.RunStarted(core.RunChat)
		m.FirstToken(core.RunChat, time.Millisecond)
		m.Completion("openai", "gpt-4o", time.Second, time.Millisecond, sdk.Usage{InputTokens: 9, OutputTokens: 9}, "")
		m.PluginCall("llm", "openai", "Chat", "OK", time.Second)
		m.PluginCall("agent", "chat", "Run", "OK", time.Second)
		m.WriteBatch(1, time.Millisecond, time.Millisecond, false)
		m.WriteBatch(1, time.Millisecond, time.Millisecond, false)
		m.RunEnded(core.RunChat, "completed", time.Second)
		closed()
		done("/v1/agents/{agent_id}/chat", 200)
	}
}
