package agent

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

// These limits apply to one run. maxHandled is the number of calls that are handled concurrently.
// maxInFlight also includes the calls that wait for a worker. They wait in a queue and not in the
// stream, so that the host notices a finish or a crash of the plugin immediately.
const (
	maxHandled  = 64
	maxInFlight = 1024
)

// runStream is one run in the host.
type runStream struct {
	ctx     context.Context // the context of the run's calls
	stream  agentv1.AgentService_RunClient
	handler Handler
	sending sync.Mutex

	number  uint64
	workers sync.WaitGroup
	mu      sync.Mutex
	handled int     // the number of running workers
	queue   []*Call // the calls that wait for a worker, in order

	answered atomic.Bool // whether a final completion was the answer of the run
}

func (s *runStream) send(m *agentv1.RunRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.stream.Send(m)
}

func (s *runStream) cancel(cause error) {
	_ = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Cancel{
		Cancel: &agentv1.Cancel{Reason: wire.UTF8(cause.Error())},
	}})
}

// receive dispatches each call that the plugin makes, and returns the answer when the run finishes.
func (s *runStream) receive(ctx context.Context) (*sdk.Message, error) {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return nil, streamError(ctx, err)
		}
		if f := m.GetFinish(); f != nil {
			return s.finish(f)
		}
		call, err := s.decode(m.GetCall())
		if err != nil {
			return nil, err
		}
		if !s.dispatch(call) {
			return nil, protocolError("more than %d concurrent calls", maxInFlight)
		}
	}
}

// dispatch starts a worker for the call or puts it into the queue. It returns false if the run has too
// many calls in progress.
func (s *runStream) dispatch(call *Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handled == maxHandled {
		s.queue = append(s.queue, call)
		return s.handled+len(s.queue) <= maxInFlight
	}
	s.handled++
	s.workers.Go(func() {
		for ; call != nil; call = s.dequeue() {
			s.handle(call)
		}
	})
	return true
}

// dequeue returns the next call for a worker, or nil if the worker must end.
func (s *runStream) dequeue() *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.handled--
		return nil
	}
	call := s.queue[0]
	s.queue = s.queue[1:]
	return call
}

func (s *runStream) finish(f *agentv1.Finish) (*sdk.Message, error) {
	if e := wire.ToError(f.GetError()); e != nil {
		return nil, e
	}
	m := wire.ToMessage(f.GetMessage())
	if m == nil && !s.answered.Load() {
		return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "the agent type ended the run without an answer"}
	}
	return m, nil
}

// decode checks the number of a call and converts the call.
func (s *runStream) decode(c *agentv1.Call) (*Call, error) {
	s.number++
	if c.GetNumber() != s.number {
		return nil, protocolError("got call %d, want call %d", c.GetNumber(), s.number)
	}
	call := &Call{Number: s.number}
	switch r := c.GetRequest().(type) {
	case *agentv1.Call_Complete:
		call.Complete = toCompletion(r.Complete)
		if r.Complete.GetWantDeltas() {
			call.Complete.OnDelta = func(text string) { s.delta(call.Number, text) }
		}
	case *agentv1.Call_CallTool:
		t := wire.ToToolCall(r.CallTool.GetCall())
		call.CallTool = &t
	case *agentv1.Call_ListTools:
		call.ListTools = true
	case *agentv1.Call_ReadFile:
		call.ReadFile = toFileRange(r.ReadFile)
	default:
		return nil, protocolError("call %d has no known request", s.number)
	}
	return call, nil
}

func protocolError(format string, args ...any) error {
	return &sdk.Error{
		Code: sdk.CodeInternal, Message: "the agent type violated the protocol: " + fmt.Sprintf(format, args...),
	}
}

func (s *runStream) delta(number uint64, text string) {
	_ = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Delta{
		Delta: &agentv1.Delta{Number: number, Text: wire.UTF8(text)},
	}}) // receive reports a broken stream
}

// handle executes one call and sends the reply.
func (s *runStream) handle(call *Call) {
	result, err := s.call(call)
	reply := &agentv1.Reply{Number: call.Number}
	if err == nil {
		err = setResult(reply, call, result)
	}
	if err == nil && proto.Size(reply) > maxPayload {
		err = &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the reply is larger than the maximum of 64 MiB"}
	}
	if err != nil {
		reply.Result = &agentv1.Reply_Error{Error: wire.FromError(wire.AsError(err))}
	}
	// Set this before sending the reply, because the plugin may finish immediately after it.
	if err == nil && call.Complete != nil && call.Complete.Final && len(result.Answer.Message.ToolCalls) == 0 {
		s.answered.Store(true)
	}
	_ = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Reply{Reply: reply}}) // receive reports a broken stream
}

// call calls the handler. A panic of the handler fails its run only.
func (s *runStream) call(call *Call) (result *Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			slog.ErrorContext(s.ctx, "recovered panic of host call",
				"call", call.Number, "panic", v, "stack", string(debug.Stack()))
			err = &sdk.Error{Code: sdk.CodeInternal, Message: "the host panicked; see the server's log for the stack trace"}
		}
	}()
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if call.ReadFile != nil {
		if err := call.ReadFile.Check(); err != nil {
			return nil, err
		}
	}
	return s.handler.Handle(s.ctx, call)
}

func setResult(reply *agentv1.Reply, call *Call, r *Result) error {
	switch {
	case r == nil:
	case call.Complete != nil && r.Answer != nil:
		reply.Result = &agentv1.Reply_Completion{Completion: fromAnswer(r.Answer)}
	case call.CallTool != nil && r.ToolResult != nil:
		reply.Result = &agentv1.Reply_ToolResult{ToolResult: fromToolResult(r.ToolResult)}
	case call.ListTools:
		reply.Result = &agentv1.Reply_ToolList{ToolList: &agentv1.ToolList{Tools: wire.FromTools(r.Tools)}}
	case call.ReadFile != nil:
		reply.Result = &agentv1.Reply_FileRange{FileRange: &agentv1.FileRange{Data: r.Data}}
	}
	if reply.Result == nil {
		return &sdk.Error{Code: sdk.CodeInternal, Message: "the host returned no result for the call"}
	}
	return nil
}
