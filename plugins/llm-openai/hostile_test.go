package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/llm"
)

// nowhere ignores all deltas.
type nowhere struct{}

func (nowhere) Send(llm.Delta) error { return nil }

// readHostile reads an answer that a hostile server sends, and fails the test if that takes long. complete reports
// whether the answer is not a stream.
func readHostile(t *testing.T, body string, complete bool) error {
	t.Helper()
	p := configured(t, "http://127.0.0.1/v1", nil)
	c := p.newCall(context.Background(), time.Minute)
	defer c.close()
	done := make(chan error, 1)
	go func() {
		in := bufio.NewReader(strings.NewReader(body))
		if complete {
			done <- c.readComplete(in, &answer{out: nowhere{}})
		} else {
			done <- c.readStream(in, &answer{out: nowhere{}})
		}
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("an answer of %d bytes takes more than 20s, want linear time", len(body))
		return nil
	}
}

// JSON that nests deeply would overflow the stack, which ends the process with the runs of all users.
func TestHostile_nesting(t *testing.T) {
	t.Parallel()
	if err := readHostile(t, strings.Repeat("[", maxAnswerBytes-1), true); err == nil {
		t.Error("readComplete() of deeply nested JSON = nil, want an error")
	}
	if err := readHostile(t, "data: "+strings.Repeat("[", maxLine-10)+"\n\n", false); err == nil {
		t.Error("readStream() of deeply nested JSON = nil, want an error")
	}
}

func TestHostile_emptyLinesOfData(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{
		strings.Repeat("data:\n", 1<<20),
		"data: {\n" + strings.Repeat("data:\n", 1<<20),
	} {
		if err := readHostile(t, stream, false); err == nil {
			t.Errorf("readStream() of %d bytes without an answer = nil, want an error", len(stream))
		}
	}
}

// A server may repeat the name in each piece of a call.
func TestHostile_piecesOfToolCalls(t *testing.T) {
	t.Parallel()
	piece := func(index int, arguments string) string {
		return fmt.Sprintf(`data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"function":{"name":"f","arguments":%q}}]}}]}`+"\n",
			index, arguments)
	}
	var one, many bytes.Buffer
	one.WriteString(piece(0, `{"a":"`))
	for i := range 100_000 {
		one.WriteString(piece(0, "xxxxxxx}"))
		many.WriteString(piece(i, "{}"))
	}
	one.WriteString(piece(0, `"}`))
	if err := readHostile(t, one.String()+"data: [DONE]\n", false); err != nil {
		t.Errorf("readStream() of a call in many pieces = %v, want nil", err)
	}
	if err := readHostile(t, many.String()+"data: [DONE]\n", false); err == nil {
		t.Error("readStream() of 100000 calls = nil, want an error")
	}
}

// Pieces of a call whose name never arrives are kept.
func TestHostile_callWithoutName(t *testing.T) {
	t.Parallel()
	piece := `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"` + strings.Repeat("x", 1<<20) + `"}}]}}]}` + "\n"
	p := configured(t, "http://127.0.0.1/v1", nil)
	c := p.newCall(context.Background(), time.Minute)
	defer c.close()
	a := &answer{out: nowhere{}}
	if err := c.readStream(bufio.NewReader(strings.NewReader(strings.Repeat(piece, 16))), a); err == nil {
		t.Fatal("readStream() of a call without a name = nil, want an error")
	}
	for _, call := range a.calls {
		if n := call.pending.Len(); n > 2*maxLine {
			t.Errorf("the plugin keeps %d bytes of a call without a name, want at most %d", n, 2*maxLine)
		}
	}
}
