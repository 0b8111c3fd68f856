package api

import (
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// TimeInput is a time that a client sends: an RFC 3339 time, or a date, which means the start of that day in UTC.
type TimeInput string

// Schema implements huma.SchemaProvider.
func (TimeInput) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Examples: []any{"2026-11-30T12:00:00Z", "2026-11-30"}}
}

// Parse returns the time in UTC, and whether it is a date. An empty input is the zero time. Parse fails with Invalid for
// the field.
func (t TimeInput) Parse(field string) (at time.Time, isDate bool, err error) {
	if t == "" {
		return time.Time{}, false, nil
	}
	if at, err := time.Parse(time.DateOnly, string(t)); err == nil {
		return at, true, nil
	}
	// A plus sign in a query that is not percent-encoded arrives as a space.
	at, err = time.Parse(time.RFC3339Nano, strings.ReplaceAll(string(t), " ", "+"))
	if year := at.UTC().Year(); err != nil || year < 0 || year > 9999 {
		return time.Time{}, false, core.Invalid(field,
			"Must be a date such as 2026-11-30, or a time such as 2026-11-30T12:00:00Z")
	}
	return at.UTC(), false, nil
}
