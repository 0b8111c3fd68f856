package storage

import (
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Times are microseconds since 1970 in UTC, 0 for none: exact, and in order on
// every database. JSON is text as it was given, so no number loses digits.

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func errorText(e *sdk.Error) (string, error) {
	if e == nil {
		return "", nil
	}
	b, err := json.Marshal(e)
	return string(b), err
}

func errorOf(text string) (*sdk.Error, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // most have none
	}
	e := new(sdk.Error)
	return e, json.Unmarshal([]byte(text), e)
}
