package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// maxLine is the maximum size of one line of an answer, in bytes.
const maxLine = 4 << 20

// Chat implements llm.Provider. It always requests a stream.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	body, err := p.encode(req)
	if err != nil {
		return nil, err
	}
	ctx, w := p.server.WithStartTimeout(ctx)
	defer w.Close()
	resp, err := p.request(ctx, http.MethodPost, "/api/chat", body)
	if err != nil {
		return nil, addPullHint(err, req.Model)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	a := answer{p: p, out: out, finish: llm.Finish{Reason: llm.FinishStop, Model: req.Model}}
	for lines.Scan() {
		w.Started()
		done, err := a.addLine(lines.Bytes())
		switch {
		case err != nil:
			return nil, err
		case done:
			return &a.finish, nil
		}
	}
	if err = lines.Err(); err == nil {
		err = remote.ErrTruncated
	}
	return nil, p.server.TransportError(ctx, err)
}

// addPullHint adds the command that fetches the model to a not_found error.
func addPullHint(err error, model string) error {
	var e *sdk.Error
	if errors.As(err, &e) && e.Code == sdk.CodeNotFound {
		e.Message += "; to download it, run: ollama pull " + model
	}
	return err
}

// answer is the answer received so far.
type answer struct {
	p      *provider
	out    llm.Stream
	finish llm.Finish
	calls  int
}

// addLine forwards the content of a line, and reports whether it is the last one.
func (a *answer) addLine(line []byte) (done bool, err error) {
	if len(line) == 0 {
		return false, nil
	}
	var r chatResponse
	if err := json.Unmarshal(line, &r); err != nil {
		return false, &sdk.Error{
			Code:    sdk.CodeUnavailable,
			Message: a.p.server.Host + " sent a response that does not match Ollama's API",
		}
	}
	if r.Error != "" {
		return false, a.p.server.ResponseError(remote.ErrorResponse{Message: r.Error})
	}
	if r.Model != "" {
		a.finish.Model = r.Model
	}
	if err := a.sendMessage(&r.Message); err != nil {
		return false, err
	}
	if !r.Done {
		return false, nil
	}
	a.finish.Usage = sdk.Usage{InputTokens: r.PromptEvalCount, OutputTokens: r.EvalCount}
	switch {
	case r.DoneReason == "length":
		a.finish.Reason = llm.FinishLength
	case a.calls > 0:
		a.finish.Reason = llm.FinishToolCalls
	}
	return true, nil
}

// sendMessage forwards the reasoning, text and tool calls of a message.
func (a *answer) sendMessage(m *message) error {
	if m.Thinking != "" {
		if err := a.out.Send(llm.Delta{Reasoning: m.Thinking}); err != nil {
			return err
		}
	}
	if m.Content != "" {
		if err := a.out.Send(llm.Delta{Text: m.Content}); err != nil {
			return err
		}
	}
	for _, c := range m.ToolCalls { // Ollama sends each call in one piece and without an id
		arguments := strings.TrimSpace(string(c.Function.Arguments))
		if arguments == "" || arguments == "null" {
			arguments = "{}"
		}
		a.calls++
		err := a.out.Send(llm.Delta{ToolCall: &llm.ToolCallDelta{
			Index: a.calls - 1, ID: "call-" + rand.Text()[:12], Name: c.Function.Name, Arguments: arguments,
		}})
		if err != nil {
			return err
		}
	}
	return nil
}
