package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// config is the config block in plugins.hcl.
type config struct {
	Models     []string `config:"models" default:"[\"echo\"]" doc:"names of the models"`
	AllowCrash bool     `config:"allow_crash" default:"false" doc:"whether a message that starts with /crash ends the plugin's process; for tests of crash recovery"`
}

// provider implements llm.Provider.
type provider struct {
	config config
	// exit exits the process. Tests replace it.
	exit func(code int)
}

func newProvider() *provider { return &provider{exit: os.Exit} }

// ListModels implements llm.Provider.
func (p *provider) ListModels(context.Context) ([]llm.Model, error) {
	models := make([]llm.Model, 0, len(p.config.Models))
	for _, id := range p.config.Models {
		models = append(models, llm.Model{ID: id, DisplayName: "Offline echo", Capabilities: []string{"tools", "images"}})
	}
	return models, nil
}

// Chat implements llm.Provider.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	if !slices.Contains(p.config.Models, req.Model) {
		return nil, &sdk.Error{
			Code: sdk.CodeNotFound,
			Message: fmt.Sprintf("model %q does not exist; available models: %s",
				req.Model, strings.Join(p.config.Models, ", ")),
		}
	}
	a := &answer{ctx: ctx, req: req, out: out, finish: llm.Finish{Reason: llm.FinishStop, Model: req.Model}}
	a.finish.Usage.InputTokens = wordCount(req.Messages)
	if results, ok := toolResults(req.Messages); ok {
		return a.end(a.sendText(splitWords(results)))
	}
	last := lastUserMessage(req.Messages)
	d, err := parseDirectives(last.Text())
	if err != nil {
		return nil, err
	}
	d.rest = appendBlobs(d.rest, last)
	a.delay = d.delay
	if d.crash && !p.config.AllowCrash {
		return nil, &sdk.Error{
			Code:    sdk.CodeInvalidRequest,
			Message: "/crash is disabled; set allow_crash = true in the config block of this plugin in plugins.hcl",
		}
	}
	if err := p.execute(a, d); err != nil {
		return nil, err
	}
	return a.end(nil)
}

// execute follows the directives.
func (p *provider) execute(a *answer, d *directives) error {
	switch {
	case d.tokens >= 0:
		if err := a.sendText(makeTokens(d.tokens)); err != nil {
			return err
		}
	case !d.crash && d.fail == "" && len(d.tools) == 0:
		if strings.TrimSpace(d.rest) == "" {
			return a.sendText(splitWords("(nothing to echo)"))
		}
		return a.sendText(splitWords(d.rest))
	}
	switch {
	case d.crash:
		p.exit(3)
		return nil
	case d.fail != "":
		e := &sdk.Error{Code: d.fail, Message: "requested by /error", Retryable: retryableCodes[d.fail]}
		if d.fail == sdk.CodeRateLimited {
			e.RetryAfter = time.Second
		}
		return e
	default:
		return a.callTools(d.tools)
	}
}

// toolResults returns the texts of the tool messages at the end of the conversation. It
// returns false if there are none.
func toolResults(messages []sdk.Message) (string, bool) {
	var texts []string
	for _, m := range slices.Backward(messages) {
		if m.Role != sdk.RoleTool {
			break
		}
		texts = append(texts, m.Text())
	}
	slices.Reverse(texts)
	return strings.Join(texts, "\n"), len(texts) > 0
}

// lastUserMessage returns the last message with the role user.
func lastUserMessage(messages []sdk.Message) sdk.Message {
	for _, m := range slices.Backward(messages) {
		if m.Role == sdk.RoleUser {
			return newest(m)
		}
	}
	return sdk.Message{}
}

// newest returns the newest of the messages that the server has joined into m, because those before it have no
// answer. It begins with an empty line.
func newest(m sdk.Message) sdk.Message {
	for i := len(m.Parts) - 1; i > 0; i-- {
		if text, ok := strings.CutPrefix(m.Parts[i].Text, "\n\n"); ok {
			m.Parts = slices.Clone(m.Parts[i:])
			m.Parts[0].Text = text
			return m
		}
	}
	return m
}

// appendBlobs appends a line for each blob of the message, such as "[image/png photo.png 68
// bytes]".
func appendBlobs(echo string, m sdk.Message) string {
	for _, p := range m.Parts {
		if p.Blob == nil {
			continue
		}
		if echo != "" {
			echo += "\n"
		}
		label := strings.TrimSpace(p.Blob.MediaType + " " + p.Blob.Name)
		echo += fmt.Sprintf("[%s %d bytes]", label, len(p.Blob.Data))
	}
	return echo
}

// wordCount returns the number of words, which the usage reports as tokens.
func wordCount(messages []sdk.Message) int64 {
	n := 0
	for _, m := range messages {
		n += len(strings.Fields(m.Text()))
	}
	return int64(n)
}

// splitWords splits a text before white space. The concatenation of the pieces is the text.
func splitWords(text string) []string {
	var out []string
	start, space := 0, true
	for i, r := range text {
		isSpace := r == ' ' || r == '\n' || r == '\t' || r == '\r'
		if isSpace && !space {
			out = append(out, text[start:i])
			start = i
		}
		space = isSpace
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// makeTokens returns n tokens: "token-1", " token-2" and so on.
func makeTokens(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = " token-" + strconv.Itoa(i+1)
	}
	if n > 0 {
		out[0] = out[0][1:]
	}
	return out
}

// answer is the state of one answer.
type answer struct {
	ctx    context.Context
	req    *llm.Request
	out    llm.Stream
	delay  time.Duration
	finish llm.Finish
}

// sendText sends the pieces, each after the delay, up to max_tokens.
func (a *answer) sendText(pieces []string) error {
	if maxTokens := a.req.MaxTokens; maxTokens != nil && int64(len(pieces)) > *maxTokens {
		pieces = pieces[:max(0, *maxTokens)]
		a.finish.Reason = llm.FinishLength
	}
	pieces = a.applyStop(pieces)
	a.finish.Usage.OutputTokens += int64(len(pieces))
	if a.delay == 0 && !a.req.Stream && len(pieces) > 0 {
		return a.out.Send(llm.Delta{Text: strings.Join(pieces, "")})
	}
	for _, piece := range pieces {
		if err := a.wait(); err != nil {
			return err
		}
		if err := a.out.Send(llm.Delta{Text: piece}); err != nil {
			return err
		}
	}
	return nil
}

// applyStop cuts the pieces before the first of the request's stop strings.
func (a *answer) applyStop(pieces []string) []string {
	text := strings.Join(pieces, "")
	end := len(text)
	for _, s := range a.req.Stop {
		if i := strings.Index(text, s); s != "" && i >= 0 {
			end = min(end, i)
		}
	}
	if end == len(text) {
		return pieces
	}
	a.finish.Reason = llm.FinishStop
	return splitWords(text[:end])
}

// wait waits for the delay, or returns an error when the context ends.
func (a *answer) wait() error {
	if err := a.ctx.Err(); err != nil {
		return contextError(err)
	}
	if a.delay == 0 {
		return nil
	}
	t := time.NewTimer(a.delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-a.ctx.Done():
		return contextError(a.ctx.Err())
	}
}

// contextError returns the error for a context that has ended.
func contextError(err error) *sdk.Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &sdk.Error{Code: sdk.CodeTimeout, Message: "the echo did not finish before the run's timeout"}
	}
	return &sdk.Error{Code: sdk.CodeCancelled, Message: "the request was cancelled"}
}

// callTools sends the tool calls. If the request does not offer one of the tools, it sends
// a text with the available tools instead.
func (a *answer) callTools(tools []sdk.ToolCall) error {
	for _, t := range tools {
		if !slices.ContainsFunc(a.req.Tools, func(o sdk.Tool) bool { return o.Name == t.Name }) {
			return a.sendText(splitWords(a.unknownToolText(t.Name)))
		}
	}
	for i, t := range tools {
		if err := a.wait(); err != nil {
			return err
		}
		// The number of messages makes the ids unique within a run.
		id := fmt.Sprintf("call_%d_%d", len(a.req.Messages), i)
		d := llm.ToolCallDelta{Index: i, ID: id, Name: t.Name, Arguments: t.Arguments}
		if err := a.out.Send(llm.Delta{ToolCall: &d}); err != nil {
			return err
		}
		a.finish.Usage.OutputTokens++
		a.finish.Reason = llm.FinishToolCalls
	}
	return nil
}

// unknownToolText returns the answer for a tool that the request does not offer.
func (a *answer) unknownToolText(name string) string {
	names := make([]string, 0, len(a.req.Tools))
	for _, t := range a.req.Tools {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return fmt.Sprintf("Tool %q is not available: this agent has no tools.", name)
	}
	return fmt.Sprintf("Tool %q is not available. Available tools: %s.", name, strings.Join(names, ", "))
}

// end returns the finish of the answer, or err.
func (a *answer) end(err error) (*llm.Finish, error) {
	if err != nil {
		return nil, err
	}
	return &a.finish, nil
}
