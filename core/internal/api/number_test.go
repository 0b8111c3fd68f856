package api_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

func TestCheckJSON_numbers(t *testing.T) {
	t.Parallel()
	for body, field := range map[string]string{
		`{"a":1e308}`:                              "",
		`{"a":-1.5E-308}`:                          "",
		`{"a":12345678901234567890}`:               "",
		`{"a":"1e999999"}`:                         "",
		`{"1e999999":"\"1e999999"}`:                "",
		`{"a":{"tools":[1,1e-999999]}}`:            "a.tools[1]",
		`{"a":1e+309}`:                             "a",
		`{"a":1E99999999999999999999}`:             "a",
		`-1e400`:                                   "body",
		`{"b":[` + strings.Repeat("9", 401) + `]}`: "b[0]",
		`{"a":0.` + strings.Repeat("0", 398) + `}`: "",
	} {
		err := api.CheckJSON([]byte(body), "")
		got := ""
		if e, ok := errors.AsType[*core.Error](err); ok && len(e.Fields) == 1 {
			got = e.Fields[0].Field
		}
		if got != field || (err == nil) != (field == "") {
			t.Errorf("CheckJSON(%.40s) = %v, want an error of field %q", body, err, field)
		}
	}
}

// With a long name around many values, the paths of all values together are many thousand times the body.
func TestCheckJSON_longPaths(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	name := strings.Repeat("n", 400_000)
	body := `{"` + name + `":[0` + strings.Repeat(",0", 200_000) + `,"\u0000"]}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := api.CheckJSON([]byte(body), "")
	runtime.ReadMemStats(&after)
	if core.CodeOf(err) != core.CodeValidation {
		t.Errorf("CheckJSON() = %v, want %s", err, core.CodeValidation)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 200<<20 {
		t.Errorf("CheckJSON() allocated %d bytes for a body of %d, want at most 200 MiB", n, len(body))
	}
}
