package pluginhost

import (
	"runtime"
	"testing"

	"github.com/agentarea/agentarea/sdk"
)

// A reply that is too large, or is no message at all, ends its call alone, and
// costs the server no memory. The test is not parallel: it watches that memory.
func TestRepliesThatAreRefused(t *testing.T) {
	h := start(t, quick, `plugin "llm" "p" {
  command = "badplugin"
  env     = { BAD = "wire" }
}`)
	before := h.pids()
	for _, model := range []string{"huge", "garbage"} {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		held := memory.HeapAlloc
		_, err := h.chat(t.Context(), "p", model, 0)
		if err == nil || sdk.AsError(err).Code == sdk.CodePluginCrashed {
			t.Errorf("%s: %v; want a refusal", model, err)
		}
		runtime.ReadMemStats(&memory)
		if grown := int64(memory.HeapAlloc) - int64(held); grown > 64<<20 {
			t.Errorf("%s: the server holds %d bytes more", model, grown)
		}
		if _, err := h.chat(t.Context(), "p", "fine", 0); err != nil {
			t.Errorf("after %s: %v", model, err)
		}
	}
	if after := h.pids(); after["p"] != before["p"] {
		t.Error("the plugin was started again")
	}
}
