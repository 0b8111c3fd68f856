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

// longestLine bounds one piece of an answer, in bytes.
const longestLine = 4 << 20

// Chat implements llm.Provider. Every answer is asked for as a stream.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	body, err := p.encode(req)
	if err != nil {
		return nil, err
	}
	ctx, w := p.server.Wait(ctx)
	defer w.Close()
	resp, err := p.request(ctx, http.MethodPost, "/api/chat", body)
	if err != nil {
		return nil, advise(err, req.Model)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, longestLine)
	a := answer{p: p, out: out, finish: llm.Finish{Reason: llm.FinishStop, Model: req.Model}}
	for lines.Scan() {
		w.Begun()
		whole, err := a.take(lines.Bytes())
		switch {
		case err != nil:
			return nil, err
		case whole:
			return &a.finish, nil
		}
	}
	if err = lines.Err(); err == nil {
		err = remote.ErrCut
	}
	return nil, p.server.Failed(ctx, err)
}

// advise adds what to do to the error of a model that is not there.
func advise(err error, model string) error {
	var e *sdk.Error
	if errors.As(err, &e) && e.Code == sdk.CodeNotFound {
		e.Message += "; have Ollama fetch it: ollama pull " + model
	}
	return err
}

// answer takes the lines of a stream.
type answer struct {
	p      *provider
	out    llm.Stream
	finish llm.Finish
	calls  int
}

// take says whether the line is the last.
func (a *answer) take(line []byte) (whole bool, err error) {
	if len(line) == 0 {
		return false, nil
	}
	var r chatResponse
	if err := json.Unmarshal(line, &r); err != nil {
		return false, &sdk.Error{Code: sdk.CodeUnavailable, Retryable: true, Message: a.p.server.Host + " sent something that is not of Ollama's API"}
	}
	if r.Error != "" {
		return false, a.p.server.Refused(remote.Refusal{Message: r.Error})
	}
	if r.Model != "" {
		a.finish.Model = r.Model
	}
	if err := a.pieces(&r.Message); err != nil {
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

func (a *answer) pieces(m *message) error {
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
	for _, c := range m.ToolCalls { // each comes whole, and without a name of its own
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
