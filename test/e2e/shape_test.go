package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// wantShape wants a reply to have every field of the contract's example, each
// of the same type. Further fields are fine.
func wantShape(t *testing.T, example string, got []byte) {
	t.Helper()
	var want, have any
	if err := json.Unmarshal([]byte(example), &want); err != nil {
		t.Fatalf("%v in the example", err)
	}
	if err := json.Unmarshal(got, &have); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	for _, problem := range differences("", want, have) {
		t.Errorf("%s in %s", problem, got)
	}
}

func differences(path string, want, have any) []string {
	var out []string
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is no object", path)}
		}
		for name, v := range w {
			field, there := h[name]
			if !there {
				out = append(out, fmt.Sprintf("no %s.%s", path, name))
				continue
			}
			out = append(out, differences(path+"."+name, v, field)...)
		}
	case []any:
		h, ok := have.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is no list", path)}
		}
		for i, v := range h {
			if len(w) > 0 {
				out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), w[0], v)...)
			}
		}
	case string:
		h, ok := have.(string)
		if !ok {
			return []string{fmt.Sprintf("%s is no text", path)}
		}
		if !strings.HasPrefix(w, "2025-01-") {
			break
		}
		if at, err := time.Parse(time.RFC3339Nano, h); err != nil || !strings.HasSuffix(h, "Z") || time.Since(at).Abs() > time.Hour {
			out = append(out, fmt.Sprintf("%s is no present time in UTC", path))
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", have) {
			out = append(out, fmt.Sprintf("%s is %T, want %T", path, have, want))
		}
	}
	return out
}
