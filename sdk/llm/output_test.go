package llm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"

	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// slow is a stream whose Send waits for the test.
type slow struct {
	grpc.ServerStream
	let  chan error
	sent []int // deltas of each message
}

func (s *slow) Send(m *llmv1.ChatResponse) error {
	s.sent = append(s.sent, len(m.GetDeltas()))
	return <-s.let
}

func TestOutput_coalescesDeltas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{let: make(chan error, 1)}
		o := newOutput(t.Context(), s)
		send := func(n int) {
			for range n {
				if err := o.Send(Delta{Text: "x"}); err != nil {
					t.Error(err)
				}
			}
		}
		s.let <- nil
		send(1) // sent immediately, in its own message
		send(1)
		synctest.Wait() // also sent in its own message, because no other delta waits
		send(100)       // these wait until the stream accepts the previous message
		s.let <- nil
		synctest.Wait()
		send(7)
		close(s.let)
		synctest.Wait()
		if err := o.finish(&llmv1.Finish{}); err != nil {
			t.Error(err)
		}
		want := []int{1, 1, 100, 7, 0}
		for i := range max(len(want), len(s.sent)) {
			if i >= len(s.sent) || i >= len(want) || s.sent[i] != want[i] {
				t.Fatalf("got messages of %v deltas, want %v", s.sent, want)
			}
		}
	})
}

// A slow reader does not fill the provider's memory, and a blocked Send returns when the stream ends.
func TestOutput_boundsWaitingDeltas(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		delta       string
		maxMessages int
	}{"deltas": {"x", 4096 + 2}, "bytes": {strings.Repeat("x", 1<<20), 4 + 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slow{let: make(chan error, 1)}
				o := newOutput(t.Context(), s)
				s.let <- nil
				sent, failed := 0, error(nil)
				send := func() {
					if failed = o.Send(Delta{Text: test.delta}); failed == nil {
						sent++
					}
				}
				send()
				send()
				synctest.Wait() // the stream has one delta, and the sender is blocked with another
				go func() {
					for failed == nil {
						send()
					}
				}()
				synctest.Wait()
				if sent != test.maxMessages {
					t.Errorf("Send accepted %d deltas, want %d", sent, test.maxMessages)
				}
				s.let <- context.Canceled
				synctest.Wait()
				if failed == nil {
					t.Error("Send did not return after the end of the stream")
				}
				o.close()
			})
		})
	}
}

func TestOutput_sendAfterClose(t *testing.T) {
	t.Parallel()
	s := &slow{let: make(chan error, 1)}
	o := newOutput(t.Context(), s)
	o.close()
	if err := o.Send(Delta{Text: "x"}); err == nil || len(s.sent) > 0 {
		t.Errorf("Send after Chat had returned: sent %v, error %v, want nothing and an error", s.sent, err)
	}

	broken := errors.New("broken")
	s.let <- broken
	o = newOutput(t.Context(), s)
	if err := o.Send(Delta{Text: "x"}); err == nil {
		t.Error("the first Send succeeded, want the error of the stream")
	}
	if err := o.Send(Delta{Text: "x"}); err == nil || o.finish(&llmv1.Finish{}) == nil {
		t.Error("a later Send or finish succeeded, want the error of the stream")
	}
}
