package api_test

import (
	"testing"
	"time"

	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

func TestTimeInput(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for input, want := range map[api.TimeInput]time.Time{
		"": {}, "2026-11-30": noon.Add(-12 * time.Hour), "2026-11-30T12:00:00Z": noon, "2026-11-30T13:00:00+01:00": noon,
		"2026-11-30T13:00:00 01:00": noon, "2026-11-30T12:00:00.5Z": noon.Add(500 * time.Millisecond),
	} {
		at, isDate, err := input.Parse("from")
		if err != nil || !at.Equal(want) || isDate != (input == "2026-11-30") {
			t.Errorf("Parse(%q) = %v, %t, %v, want %v", input, at, isDate, err, want)
		}
	}
	for _, input := range []api.TimeInput{
		"yesterday", "2026-13-01", "2026-11-30T12:00:00", "2026-11-30T25:00:00Z", "20261130", " ", "9999-12-31T23:59:59-01:00",
	} {
		at, _, err := input.Parse("from")
		const want = "VALIDATION_ERROR: Invalid request data (from: Must be a date such as 2026-11-30, or a time such as " +
			"2026-11-30T12:00:00Z)"
		if err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, %v, want %s", input, at, err, want)
		}
	}
}

// FuzzTimeInput checks that a parsed time can be sent back.
func FuzzTimeInput(f *testing.F) {
	for _, s := range []string{
		"2025-01-31T12:00:00Z", "2025-01-31T12:00:00.5+01:00", "2025-01-31T12:00:00 01:00", "2025-01-31",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, _, err := api.TimeInput(text).Parse("before")
		if err != nil {
			apitest.WantPublicError(t, err)
			return
		}
		again, _, err := api.TimeInput(at.Format(time.RFC3339Nano)).Parse("before")
		if text != "" && (err != nil || !again.Equal(at)) {
			t.Errorf("Parse(%q) = %v, and again %v (%v)", text, at, again, err)
		}
	})
}
