package storage

import (
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// micros converts a time to a column: microseconds since 1970 in UTC, or 0 for the zero time. Such
// columns are exact and sort correctly on every database.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant converts a column that micros returned to a time in UTC.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// rawJSON converts a column with JSON text. JSON is stored as text so that numbers keep all digits.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// errorText converts an error to a column with JSON text. The text is empty if e is nil.
func errorText(e *sdk.Error) (string, error) {
	if e == nil {
		return "", nil
	}
	b, err := json.Marshal(e)
	return string(b), err
}

// errorOf converts a column that errorText returned.
func errorOf(text string) (*sdk.Error, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // most rows have no error
	}
	e := new(sdk.Error)
	return e, json.Unmarshal([]byte(text), e)
}
