package core

import (
	"testing"
	"time"
)

func TestUsageRowAfter(t *testing.T) {
	t.Parallel()
	want := UsageRow{Day: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), AgentID: "agent-1", Model: "echo", UserID: "user-1"}
	if got, err := UsageRowAfter(want.PageKey()); err != nil || got != want {
		t.Errorf("UsageRowAfter of the position of %+v = %+v, %v", want, got, err)
	}
	for _, text := range []string{"", "x", "{}", `["a",1,"b"]`, `["a","b\u0000","c"]`} {
		if _, err := UsageRowAfter(PageKey{Text: text}); CodeOf(err) != CodeValidation {
			t.Errorf("UsageRowAfter(%q) = %v, want Invalid", text, err)
		}
	}
}
