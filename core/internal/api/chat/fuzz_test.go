package chat

import (
	"testing"
	"time"

	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

// FuzzBefore checks that a parsed time can be sent back.
func FuzzBefore(f *testing.F) {
	for _, s := range []string{"2025-01-31T12:00:00Z", "2025-01-31T12:00:00.5+01:00", "2025-01-31T12:00:00 01:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseBefore(text)
		if err != nil {
			apitest.WantPublicError(t, err)
			return
		}
		again, err := parseBefore(at.Format(time.RFC3339Nano))
		if text != "" && (err != nil || !again.Equal(at)) {
			t.Errorf("parseBefore(%q) = %v, and again %v (%v)", text, at, again, err)
		}
	})
}
