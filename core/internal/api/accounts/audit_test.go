package accounts

import (
	"testing"
	"time"
)

// The audit log accepts the time formats that the usage does. As there, the end includes a day.
func TestListAudit_times(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	day := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for query, want := range map[string][2]time.Time{
		"":                              {},
		"from=2026-11-30&to=2026-11-30": {day, day.AddDate(0, 0, 1)},
		"from=2026-11-30T01:00:00%2B01:00&to=2026-11-30T12:00:00Z": {day, day.Add(12 * time.Hour)},
		"to=2026-11-30T12:00:00.5Z":                                {{}, day.Add(12*time.Hour + 500*time.Millisecond)},
	} {
		env.Do(t, "root", "GET", "/v1/audit?"+query, "").Want(200)
		if f := env.auditFilter; !f.From.Equal(want[0]) || !f.To.Equal(want[1]) {
			t.Errorf("GET /v1/audit?%s: got times %v to %v, want %v", query, f.From, f.To, want)
		}
	}
	for query, field := range map[string]string{
		"from=yesterday": "from", "to=2026-11-31": "to", "from=2026-12-01&to=2026-11-30": "from",
		"from=2026-12-02&to=2026-11-30": "from", "to=2026-11-30T12:00": "to",
	} {
		if f := env.Do(t, "root", "GET", "/v1/audit?"+query, "").Want(400).Failure(); f.Details.Field != field {
			t.Errorf("GET /v1/audit?%s: got %+v, want field %q", query, f, field)
		}
	}
}
