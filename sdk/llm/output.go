package llm

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// maxWaiting and maxWaitingBytes bound the deltas that wait for a slow reader. At the limit Send blocks,
// so that a fast provider does not fill the memory.
const (
	maxWaiting      = 4096
	maxWaitingBytes = 4 << 20
)

// output is the Stream of a Chat that a client follows. Send sends the first delta immediately. From
// the second delta on, a goroutine sends all waiting deltas together.
type output struct {
	ctx    context.Context // the context of the call
	stream llmv1.LLMService_ChatServer

	mu sync.Mutex
	// changed is signalled when the fields below change. The sending goroutine waits for deltas, and the
	// provider's goroutine waits for room or for the end of the sending goroutine. They never wait at
	// the same time.
	changed        sync.Cond
	waiting, spare []*llmv1.Delta
	runes          runeJoiner
	bytes          int  // the size of waiting
	started        bool // whether the first delta has been sent
	sending        bool // whether the sending goroutine is running
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
		return &sdk.Error{Code: sdk.CodeInternal, Message: "the provider sent a delta after Chat returned"}
	}
	d = o.runes.join(d)
	o.waiting = appendDelta(o.waiting, d)
	if len(o.waiting) == 0 {
		return nil
	}
	if !o.started {
		// gRPC accepts the first message of a stream without waiting for the reader.
		o.started = true
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

// run sends the waiting deltas until close is called.
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
		o.setError(err)
	}
	o.sending = false
	o.changed.Signal()
}

// send sends the waiting deltas, and f if it is not nil. The sending goroutine must not be running.
func (o *output) send(f *llmv1.Finish) {
	o.setError(o.stream.Send(&llmv1.ChatResponse{Deltas: o.waiting, Finish: f}))
	o.waiting = o.waiting[:0]
}

func (o *output) setError(err error) {
	if err != nil && o.err == nil {
		o.err = wire.FromCall(o.ctx, err)
	}
}

// close ends the sending goroutine. The waiting deltas remain for finish.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Signal()
	for o.sending {
		o.changed.Wait()
	}
}

// finish sends the waiting deltas and f. If f is nil, the answer has failed.
func (o *output) finish(f *llmv1.Finish) error {
	o.close()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.runes.rest() {
		o.waiting = appendDelta(o.waiting, d)
	}
	if o.err == nil && (f != nil || len(o.waiting) > 0) {
		o.send(f)
	}
	return o.err
}
