package llm

import (
	"context"
	"sync"

	llmv1 "github.com/agentarea/agentarea/proto/llm/v1"
	"github.com/agentarea/agentarea/sdk/internal/wire"
)

// What may wait for a slow reader before Send waits too, so that a provider
// that outruns it does not fill the memory.
const (
	maxWaiting      = 4096
	maxWaitingBytes = 4 << 20
)

// output is the Stream of one Chat. Send itself sends the first delta, alone
// and at once; from the second on a goroutine sends together whatever waits.
// When nobody watches, all of it waits for the finish.
type output struct {
	ctx    context.Context //nolint:containedctx // it is that of the call, which output belongs to
	stream llmv1.LLMService_ChatServer
	live   bool
	first  bool

	mu sync.Mutex
	// changed is waited on by the sender for something to send, and by the
	// provider's goroutine for room or for the sender's end: never by both.
	changed        sync.Cond
	waiting, spare []*llmv1.Delta
	bytes          int
	sending        bool // the sender runs
	closed         bool
	err            error
}

func newOutput(ctx context.Context, stream llmv1.LLMService_ChatServer, live bool) *output {
	o := &output{ctx: ctx, stream: stream, live: live, first: true}
	o.changed.L = &o.mu
	return o
}

// Send implements Stream.
func (o *output) Send(d Delta) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && o.live && (len(o.waiting) >= maxWaiting || o.bytes >= maxWaitingBytes) {
		o.changed.Wait()
	}
	if o.err != nil {
		return o.err
	}
	o.waiting = appendDelta(o.waiting, d)
	if !o.live || len(o.waiting) == 0 {
		return nil
	}
	if o.first {
		o.first = false
		o.send(&llmv1.ChatResponse{Deltas: o.waiting})
		o.waiting = o.waiting[:0]
		return o.err
	}
	o.bytes += len(d.Text) + len(d.Reasoning)
	if d.ToolCall != nil {
		o.bytes += len(d.ToolCall.Arguments)
	}
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
		o.fail(err)
	}
	o.sending = false
	o.changed.Signal()
}

// send is for when there is no sender.
func (o *output) send(m *llmv1.ChatResponse) { o.fail(o.stream.Send(m)) }

func (o *output) fail(err error) {
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

// finish sends what waits, and then f; without f, as before an error, only
// what somebody watches.
func (o *output) finish(f *llmv1.Finish) error {
	o.close()
	if o.err == nil && (f != nil || o.live && len(o.waiting) > 0) {
		o.send(&llmv1.ChatResponse{Deltas: o.waiting, Finish: f})
	}
	return o.err
}
