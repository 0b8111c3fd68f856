package pluginhost

import (
	"runtime"
	"testing"

	"github.com/agentarea/agentarea/sdk"
)

// TestInvalidRepliesFailOnlyTheirCall checks replies that are too large or not protobuf:
// they fail only their call and cost no memory. It is not parallel, because it measures memory.
func TestInvalidRepliesFailOnlyTheirCall(t *testing.T) {
	h := start(t, testTiming, `plugin "llm" "p" {
  command = "badplugin"
  env     = { BAD = "wire" }
}`)
	before := h.pids()
	for _, model := range []string{"huge", "garbage"} {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		before := memory.HeapAlloc
		_, err := h.chat(t.Context(), "p", model, 0)
		if err == nil || sdk.AsError(err).Code == sdk.CodePluginCrashed {
			t.Errorf("%s: got %v, want an error that is not a crash", model, err)
		}
		runtime.ReadMemStats(&memory)
		if growth := int64(memory.HeapAlloc) - int64(before); growth > 64<<20 {
			t.Errorf("%s: the server uses %d bytes more", model, growth)
		}
		if _, err := h.chat(t.Context(), "p", "fine", 0); err != nil {
			t.Errorf("after %s: got %v", model, err)
		}
	}
	if after := h.pids(); after["p"] != before["p"] {
		t.Error("the plugin was restarted")
	}
}
