package remote_test

import (
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/llm/remote"
)

func TestParseError_list(t *testing.T) {
	t.Parallel()
	e, ok := remote.ParseError([]byte(`{"errors":[{"message":"too big","code":413}]}`))
	if want := (remote.ErrorBody{Message: "too big", Type: "413", Status: 413}); !ok || e != want {
		t.Errorf("ParseError(list) = %+v, %t, want %+v, true", e, ok, want)
	}
}

// An error event of a stream can have megabytes.
func TestParseError_deepNesting(t *testing.T) {
	t.Parallel()
	body := []byte(`{"error":` + strings.Repeat("[", 9000) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat("]", 9000) + `}`)
	done := make(chan struct{})
	go func() {
		defer close(done)
		remote.ParseError(body)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("ParseError of 1 MiB in 9000 lists takes more than 10s, want linear time")
	}
}
