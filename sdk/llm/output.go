package llm

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// What may wait for a slow reader before Send waits too, so that a provider
// that outruns it does not fill the memory.
const (
	maxWaiting      = 4096
	maxWaitingBytes = 4 << 20
)

// output is the Stream of a Chat that somebody watches. Send itself sends the
// first delta, alone and at once; from the second on a goroutine sends together
// whatever waits.
type output struct {
	ctx    context.Context // of the call
	stream llmv1.LLMService_ChatServer

	mu sync.Mutex
	// changed is waited on by the sender for something to send, and by the
	// provider's goroutine for room or for the sender's end: never by both.
	changed        sync.Cond
	waiting, spare []*llmv1.Delta
	bytes          int  // of text in waiting
	begun          bool // the first delta is sent
	sending        bool // the sender runs
	closed         bool
	err            error
}

func newOutput(ctx context.Context, stream llmv1.LLMService_ChatServer) *output {
	o := &output{ctx: ctx, stream: stream}
	o.changed.L = &o.mu
	return o
}

// Send implements Stream.
func (o *output) Send(d Delta) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && (len(o.waiting) >= maxWaiting || o.bytes >= maxWaitingBytes) {
		o.changed.Wait()
	}
	if o.err != nil {
		return o.err
	}
	if o.closed {
		return &sdk.Error{Code: sdk.CodeInternal, Message: "a delta was sent after Chat had returned"}
	}
	o.waiting = appendDelta(o.waiting, d)
	if len(o.waiting) == 0 {
		return nil
	}
	if !o.begun {
		// gRPC takes a stream's first message without waiting for the reader.
		o.begun = true
		o.send(nil)
		return o.err
	}
	o.bytes += d.size()
	if !o.sending {
		o.sending = true
		go o.run()
	}
	o.changed.Signal()
	return nil
}

// run sends what waits until close.
func (o *output) run() {
	o.mu.Lock()
	defer o.mu.Unlock()
	var m llmv1.ChatResponse
	for o.err == nil && !o.closed {
		if len(o.waiting) == 0 {
			o.changed.Wait()
			continue
		}
		m.Deltas = o.waiting
		o.waiting, o.spare, o.bytes = o.spare[:0], o.waiting, 0
		o.changed.Signal()
		o.mu.Unlock()
		err := o.stream.Send(&m)
		o.mu.Lock()
		o.note(err)
	}
	o.sending = false
	o.changed.Signal()
}

// send sends what waits while there is no sender, with the finish if it is the last.
func (o *output) send(f *llmv1.Finish) {
	o.note(o.stream.Send(&llmv1.ChatResponse{Deltas: o.waiting, Finish: f}))
	o.waiting = o.waiting[:0]
}

func (o *output) note(err error) {
	if err != nil && o.err == nil {
		o.err = wire.FromCall(o.ctx, err)
	}
}

// close ends the sender; what waits stays for finish.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Signal()
	for o.sending {
		o.changed.Wait()
	}
}

// finish sends what waits and the finish; nil is that of an answer that failed.
func (o *output) finish(f *llmv1.Finish) error {
	o.close()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil && (f != nil || len(o.waiting) > 0) {
		o.send(f)
	}
	return o.err
}
