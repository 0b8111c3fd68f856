package main

import (
	"context"
	"crypto/rand"
	"encoding/json"

	"google.golang.org/genai"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// Chat implements llm.Provider. It always requests a stream.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	contents, config, err := p.encode(req)
	if err != nil {
		return nil, err
	}
	ctx, w := p.server.WithStartTimeout(ctx)
	defer w.Close()
	a := answer{p: p, out: out, finish: llm.Finish{Model: req.Model}}
	for r, err := range p.client.Models.GenerateContentStream(ctx, req.Model, contents, config) {
		if err != nil {
			return nil, p.wrapProviderError(ctx, err)
		}
		w.Started()
		if err := a.addResponse(r); err != nil {
			return nil, err
		}
	}
	if a.finish.Reason == "" {
		return nil, p.server.TransportError(ctx, remote.ErrTruncated)
	}
	if a.calls > 0 && a.finish.Reason == llm.FinishStop {
		a.finish.Reason = llm.FinishToolCalls
	}
	return &a.finish, nil
}

// answer is the answer received so far.
type answer struct {
	p      *provider
	out    llm.Stream
	finish llm.Finish
	calls  int
}

// addResponse forwards the content of a piece of the stream.
func (a *answer) addResponse(r *genai.GenerateContentResponse) error {
	if r.ModelVersion != "" {
		a.finish.Model = r.ModelVersion
	}
	if u := r.UsageMetadata; u != nil {
		a.finish.Usage = sdk.Usage{
			InputTokens:       int64(u.PromptTokenCount) + int64(u.ToolUsePromptTokenCount),
			OutputTokens:      int64(u.CandidatesTokenCount) + int64(u.ThoughtsTokenCount),
			CachedInputTokens: int64(u.CachedContentTokenCount), ReasoningTokens: int64(u.ThoughtsTokenCount),
		}
	}
	if f := r.PromptFeedback; f != nil && f.BlockReason != "" {
		return a.p.server.ResponseError(remote.ErrorResponse{
			Code: sdk.CodeContentFilter, Message: string(f.BlockReason) + " " + f.BlockReasonMessage,
		})
	}
	if len(r.Candidates) == 0 {
		return nil
	}
	c := r.Candidates[0]
	if c.Content != nil {
		for _, part := range c.Content.Parts {
			if err := a.addPart(part); err != nil {
				return err
			}
		}
	}
	return a.setReason(c)
}

// addPart forwards a part of the content.
func (a *answer) addPart(part *genai.Part) error {
	switch {
	case part.FunctionCall != nil:
		return a.addCall(part)
	case part.Text == "":
		return nil
	case part.Thought:
		return a.out.Send(llm.Delta{Reasoning: part.Text})
	}
	return a.out.Send(llm.Delta{Text: part.Text})
}

// addCall forwards a tool call, which the API sends in one piece. The API sends no id, or
// one that is not unique in the conversation, so addCall generates it.
func (a *answer) addCall(part *genai.Part) error {
	args := part.FunctionCall.Args
	if args == nil {
		args = map[string]any{}
	}
	text, err := json.Marshal(args)
	if err != nil {
		return err
	}
	id := "call-" + rand.Text()[:12]
	a.p.signatures.put(id, part.ThoughtSignature)
	a.calls++
	return a.out.Send(llm.Delta{ToolCall: &llm.ToolCallDelta{
		Index: a.calls - 1, ID: id, Name: part.FunctionCall.Name, Arguments: string(text),
	}})
}

// setReason stores the finish reason of a candidate.
func (a *answer) setReason(c *genai.Candidate) error {
	switch c.FinishReason {
	case "", genai.FinishReasonUnspecified:
	case genai.FinishReasonStop:
		a.finish.Reason = llm.FinishStop
	case genai.FinishReasonMaxTokens:
		a.finish.Reason = llm.FinishLength
	case genai.FinishReasonMalformedFunctionCall, "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS":
		return &sdk.Error{
			Code: sdk.CodeUnavailable, Retryable: true,
			Message: "the model made an invalid tool call (" + string(c.FinishReason) + ")",
		}
	default: // SAFETY, RECITATION, BLOCKLIST, PROHIBITED_CONTENT, SPII, LANGUAGE and others
		a.finish.Reason = llm.FinishContentFilter
	}
	return nil
}
