package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// send returns the share of a body of n bytes that was read, and the error of reading it.
func send(b *bodyBudget, address string, n int) (*heldBody, error) {
	r, _ := http.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", n)))
	h := b.body(r)
	h.caller = address
	_, err := io.Copy(io.Discard, h)
	return h, err
}

func TestBodyBudget(t *testing.T) {
	t.Parallel()
	b := newBodyBudget(100, 40)
	var held []*heldBody
	for _, c := range []struct {
		caller string
		bytes  int
		want   string
	}{
		{"ann", 300, ""}, // a body that is too large for the budget is accepted while nothing else is held
		{"bob", 1, "The server is processing too many large requests"},
		{"", 0, ""}, // release all
		{"ann", 30, ""},
		{"ann", 10, ""},
		{"ann", 1, "Too many large requests of yours"},
		{"bob", 40, ""},
		{"cat", 30, "The server is processing"},
		{"cat", 20, ""},
		{"", 0, ""},
		{"ann", 40, ""},
	} {
		if c.caller == "" {
			for _, h := range held {
				h.release()
			}
			held = nil
			continue
		}
		h, err := send(b, c.caller, c.bytes)
		if c.want == "" {
			held = append(held, h)
		} else {
			h.release()
		}
		if (err == nil) != (c.want == "") || err != nil &&
			(!strings.Contains(err.Error(), c.want) || core.CodeOf(err) != core.CodeUnavailable) {
			t.Errorf("%d bytes of %s: got %v, want %q", c.bytes, c.caller, err, c.want)
		}
	}
	for _, h := range held {
		h.release()
	}
	if b.total != 0 || len(b.callers) != 0 {
		t.Errorf("after all were released: total %d, callers %v, want none", b.total, b.callers)
	}
}

func TestDecodedSize(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{`{"a":"x,[{\",y"}`: 2, `[[],[],{}]`: 6, `"text"`: 0} {
		if got := decodedSize([]byte(body)); got != want*decodedValue {
			t.Errorf("decodedSize(%s) = %d, want %d", body, got, want*decodedValue)
		}
	}
}
