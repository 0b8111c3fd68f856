package remote_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// RetryAfter is neither negative nor longer than two weeks.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range [][2]string{
		{"1.5", ""},
		{"", "250"},
		{"NaN", "NaN"},
		{"-1", "-Inf"},
		{"Fri, 31 Dec 9999 23:59:59 GMT", "1e9"},
		{"1e999", "1e999"},
		{"0x10", "1_0"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, seconds, ms string) {
		h := http.Header{"Retry-After": {seconds}, "Retry-After-Ms": {ms}}
		if d := remote.RetryAfter(h); d < 0 || d > 14*24*time.Hour {
			t.Errorf("RetryAfter with %q and %q = %s, want 0 to two weeks", seconds, ms, d)
		}
	})
}
