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

// What one run may have under way: calls that are handled at the same time, and
// those with the ones that wait for it. They wait here and not on the wire, so
// that a finish, or the plugin's end, is seen at once.
const (
	maxHandled  = 64
	maxInFlight = 1024
)

// session is one run on the host's side.
type session struct {
	ctx     context.Context // of the run's calls
	stream  agentv1.AgentService_RunClient
	handler Handler
	sending sync.Mutex

	number  uint64
	workers sync.WaitGroup
	mu      sync.Mutex
	handled int     // workers that run
	queue   []*Call // what waits for one, in order

	answered atomic.Bool // a final completion gave the run's answer
}

func (s *session) send(m *agentv1.RunRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.stream.Send(m)
}

func (s *session) cancel(cause error) {
	_ = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Cancel{
		Cancel: &agentv1.Cancel{Reason: wire.UTF8(cause.Error())},
	}})
}

// receive starts the handling of each call, until the plugin finishes.
func (s *session) receive(ctx context.Context) (*sdk.Message, error) {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return nil, streamError(ctx, err)
		}
		if f := m.GetFinish(); f != nil {
			return s.finish(f)
		}
		call, err := s.next(m.GetCall())
		if err != nil {
			return nil, err
		}
		if !s.begin(call) {
			return nil, protocolError("more than %d calls at once", maxInFlight)
		}
	}
}

// begin has call handled, or lets it wait for its turn; false is one too many.
func (s *session) begin(call *Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handled == maxHandled {
		s.queue = append(s.queue, call)
		return s.handled+len(s.queue) <= maxInFlight
	}
	s.handled++
	s.workers.Go(func() {
		for ; call != nil; call = s.another() {
			s.handle(call)
		}
	})
	return true
}

// another is the next call for a worker that has done one; nil ends it.
func (s *session) another() *Call {
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

func (s *session) finish(f *agentv1.Finish) (*sdk.Message, error) {
	if e := wire.ToError(f.GetError()); e != nil {
		return nil, e
	}
	m := wire.ToMessage(f.GetMessage())
	if m == nil && !s.answered.Load() {
		return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "the agent type ended the run without an answer"}
	}
	return m, nil
}

// next checks that a call is in its turn, and makes the handler's Call of it.
func (s *session) next(c *agentv1.Call) (*Call, error) {
	s.number++
	if c.GetNumber() != s.number {
		return nil, protocolError("call %d came where %d was due", c.GetNumber(), s.number)
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
		return nil, protocolError("call %d asks for nothing that is known", s.number)
	}
	return call, nil
}

func protocolError(format string, args ...any) error {
	return &sdk.Error{Code: sdk.CodeInternal, Message: "the agent type broke the protocol: " + fmt.Sprintf(format, args...)}
}

func (s *session) delta(number uint64, text string) {
	_ = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Delta{
		Delta: &agentv1.Delta{Number: number, Text: wire.UTF8(text)},
	}}) // a stream that broke ends the run
}

// handle answers one call.
func (s *session) handle(call *Call) {
	result, err := s.ask(call)
	reply := &agentv1.Reply{Number: call.Number}
	if err == nil {
		err = setResult(reply, call, result)
	}
	if err == nil && proto.Size(reply) > maxPayload {
		err = &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the reply is larger than 64 MiB"}
	}
	if err != nil {
		reply.Result = &agentv1.Reply_Error{Error: wire.FromError(wire.AsError(err))}
	}
	// Before the reply goes: the plugin's finish may come at once after it.
	if err == nil && call.Complete != nil && call.Complete.Final && len(result.Answer.Message.ToolCalls) == 0 {
		s.answered.Store(true)
	}
	_ = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Reply{Reply: reply}}) // a stream that broke ends the run
}

// ask keeps a panic of the handler to its run.
func (s *session) ask(call *Call) (result *Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			slog.ErrorContext(s.ctx, "panic", "panic", v, "stack", string(debug.Stack()))
			err = &sdk.Error{Code: sdk.CodeInternal, Message: "the host panicked; its log has the stack"}
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
		return &sdk.Error{Code: sdk.CodeInternal, Message: "the handler gave no result for the call"}
	}
	return nil
}
