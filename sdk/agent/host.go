package agent

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

// host implements Host for one run, over the stream of the run.
type host struct {
	ctx    context.Context // the context of the run
	stream agentv1.AgentService_RunServer

	// sending guards number and done, and keeps the calls on the stream in the order of their numbers.
	sending sync.Mutex
	number  uint64
	done    bool

	mu      sync.Mutex // guards pending
	pending map[uint64]*pendingCall
}

// pendingCall is a call that waits for its reply.
type pendingCall struct {
	number uint64
	mu     sync.Mutex
	deltas []string
	reply  *agentv1.Reply
	// updated has a value after deltas or reply have changed. Its capacity is 1.
	updated chan struct{}
}

func newHost(ctx context.Context, stream agentv1.AgentService_RunServer) *host {
	return &host{ctx: ctx, stream: stream, pending: map[uint64]*pendingCall{}}
}

func (h *host) Complete(ctx context.Context, req *Completion) (*Answer, error) {
	calls, err := h.send(&agentv1.Call{Request: &agentv1.Call_Complete{Complete: fromCompletion(req)}})
	if err != nil {
		return nil, err
	}
	reply, err := h.wait(ctx, calls[0], req.OnDelta)
	if err != nil {
		return nil, err
	}
	c := reply.GetCompletion()
	if c == nil {
		return nil, wrongReply()
	}
	return toAnswer(c), nil
}

func (h *host) ListTools(ctx context.Context) ([]sdk.Tool, error) {
	calls, err := h.send(&agentv1.Call{Request: &agentv1.Call_ListTools{ListTools: &agentv1.ListTools{}}})
	if err != nil {
		return nil, err
	}
	reply, err := h.wait(ctx, calls[0], nil)
	if err != nil {
		return nil, err
	}
	list := reply.GetToolList()
	if list == nil {
		return nil, wrongReply()
	}
	return wire.ToTools(list.GetTools()), nil
}

func (h *host) CallTools(ctx context.Context, tools []sdk.ToolCall) ([]sdk.ToolResult, error) {
	requests := make([]*agentv1.Call, len(tools))
	for i, t := range tools {
		requests[i] = &agentv1.Call{Request: &agentv1.Call_CallTool{CallTool: &agentv1.CallTool{Call: wire.FromToolCall(t)}}}
	}
	calls, err := h.send(requests...)
	if err != nil {
		return nil, err
	}
	results := make([]sdk.ToolResult, len(calls))
	var failed error
	for i, c := range calls {
		reply, err := h.wait(ctx, c, nil)
		if err == nil && reply.GetToolResult() == nil {
			err = wrongReply()
		}
		if err != nil && failed == nil {
			failed = err
		}
		results[i] = toToolResult(reply.GetToolResult())
	}
	if failed != nil {
		return nil, failed
	}
	return results, nil
}

func (h *host) ReadFile(ctx context.Context, id string, offset, length int64) ([]byte, error) {
	r := &FileRange{FileID: id, Offset: offset, Length: length}
	if err := r.Check(); err != nil {
		return nil, err
	}
	calls, err := h.send(&agentv1.Call{Request: &agentv1.Call_ReadFile{ReadFile: fromFileRange(r)}})
	if err != nil {
		return nil, err
	}
	reply, err := h.wait(ctx, calls[0], nil)
	if err != nil {
		return nil, err
	}
	got := reply.GetFileRange()
	if got == nil {
		return nil, wrongReply()
	}
	return got.GetData(), nil
}

// send assigns numbers to the calls and sends them. It sends none if one of them is too large.
func (h *host) send(calls ...*agentv1.Call) ([]*pendingCall, error) {
	for _, c := range calls {
		// A call that is rejected here gets no number, so the run can continue.
		if proto.Size(c) > maxPayload {
			return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the call is larger than the maximum of 64 MiB"}
		}
	}
	h.sending.Lock()
	defer h.sending.Unlock()
	if h.done {
		return nil, &sdk.Error{Code: sdk.CodeCancelled, Message: "the run has ended"}
	}
	if err := h.ctx.Err(); err != nil {
		return nil, err
	}
	sent := make([]*pendingCall, len(calls))
	h.mu.Lock()
	for i, c := range calls {
		h.number++
		c.Number = h.number
		sent[i] = &pendingCall{number: h.number, updated: make(chan struct{}, 1)}
		h.pending[h.number] = sent[i]
	}
	h.mu.Unlock()
	for _, c := range calls {
		if err := h.stream.Send(&agentv1.RunResponse{Message: &agentv1.RunResponse_Call{Call: c}}); err != nil {
			return nil, wire.FromCall(h.ctx, err)
		}
	}
	return sent, nil
}

// wait returns the reply to a call. It calls onDelta, from this goroutine, for each delta before it.
func (h *host) wait(ctx context.Context, p *pendingCall, onDelta func(string)) (*agentv1.Reply, error) {
	defer h.forget(p.number)
	for {
		select {
		case <-p.updated:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-h.ctx.Done():
			return nil, h.ctx.Err()
		}
		p.mu.Lock()
		deltas, reply := p.deltas, p.reply
		p.deltas = nil
		p.mu.Unlock()
		if onDelta != nil {
			for _, d := range deltas {
				onDelta(d)
			}
		}
		if reply == nil {
			continue
		}
		if e := wire.ToError(reply.GetError()); e != nil {
			return nil, e
		}
		return reply, nil
	}
}

func (h *host) forget(number uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pending, number)
}

func (h *host) reply(r *agentv1.Reply) {
	if p := h.find(r.GetNumber()); p != nil {
		p.update(func() { p.reply = r })
	}
}

func (h *host) delta(d *agentv1.Delta) {
	if p := h.find(d.GetNumber()); p != nil {
		p.update(func() { p.deltas = append(p.deltas, d.GetText()) })
	}
}

// find returns the pending call with the number, or nil if nobody waits for it.
func (h *host) find(number uint64) *pendingCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pending[number]
}

// update applies change and wakes up the wait for p.
func (p *pendingCall) update(change func()) {
	p.mu.Lock()
	change()
	p.mu.Unlock()
	select {
	case p.updated <- struct{}{}:
	default:
	}
}

// finish sends the end of the run. Calls fail afterwards.
func (h *host) finish(f *agentv1.Finish) error {
	h.sending.Lock()
	defer h.sending.Unlock()
	h.done = true
	return h.stream.Send(&agentv1.RunResponse{Message: &agentv1.RunResponse_Finish{Finish: f}})
}

func wrongReply() error {
	return &sdk.Error{Code: sdk.CodeInternal, Message: "the host's reply does not match the call"}
}
