package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// wantShape checks that a reply has every field of an example, with values of the same types. It may
// have more fields.
func wantShape(t *testing.T, example string, got []byte) {
	t.Helper()
	var want, have any
	if err := json.Unmarshal([]byte(example), &want); err != nil {
		t.Fatalf("decode the example: %v", err)
	}
	if err := json.Unmarshal(got, &have); err != nil {
		t.Fatalf("decode the reply: %v: %s", err, got)
	}
	for _, problem := range differences("", want, have) {
		t.Errorf("%s in %s", problem, got)
	}
}

// differences returns the differences between have and want. path is the path of want.
func differences(path string, want, have any) []string {
	var out []string
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is not an object", path)}
		}
		for name, v := range w {
			field, there := h[name]
			if !there {
				out = append(out, fmt.Sprintf("missing %s.%s", path, name))
				continue
			}
			out = append(out, differences(path+"."+name, v, field)...)
		}
	case []any:
		h, ok := have.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is not a list", path)}
		}
		for i, v := range h {
			if len(w) > 0 {
				out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), w[0], v)...)
			}
		}
	case string:
		h, ok := have.(string)
		if !ok {
			return []string{fmt.Sprintf("%s is not a string", path)}
		}
		if !strings.HasPrefix(w, "2025-01-") {
			break
		}
		if at, err := time.Parse(time.RFC3339Nano, h); err != nil || !strings.HasSuffix(h, "Z") ||
			time.Since(at).Abs() > time.Hour {
			out = append(out, fmt.Sprintf("%s is not the current time in UTC", path))
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", have) {
			out = append(out, fmt.Sprintf("%s is %T, want %T", path, have, want))
		}
	}
	return out
}
