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

// config is the stanza's config block.
type config struct {
	Models     []string `config:"models" default:"[\"echo\"]" doc:"the names to answer to"`
	AllowCrash bool     `config:"allow_crash" default:"false" doc:"let a message that begins with /crash end the plugin's process; for tests of what happens then"`
}

// provider implements llm.Provider.
type provider struct {
	config config
	// exit ends the process.
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
			Code:    sdk.CodeNotFound,
			Message: fmt.Sprintf("no model %q; there are: %s", req.Model, strings.Join(p.config.Models, ", ")),
		}
	}
	a := &answer{ctx: ctx, req: req, out: out, finish: llm.Finish{Reason: llm.FinishStop, Model: req.Model}}
	a.finish.Usage.InputTokens = countWords(req.Messages)
	if results, ok := toolResults(req.Messages); ok {
		return a.end(a.say(words(results)))
	}
	last := lastOfUser(req.Messages)
	d, err := parse(last.Text())
	if err != nil {
		return nil, err
	}
	d.rest = withBlobs(d.rest, last)
	a.delay = d.delay
	if d.crash && !p.config.AllowCrash {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "/crash is off; set allow_crash = true in the stanza's config block"}
	}
	if err := p.follow(a, d); err != nil {
		return nil, err
	}
	return a.end(nil)
}

// follow does what the directives say.
func (p *provider) follow(a *answer, d *directives) error {
	switch {
	case d.tokens >= 0:
		if err := a.say(tokens(d.tokens)); err != nil {
			return err
		}
	case !d.crash && d.fail == "" && len(d.tools) == 0:
		if strings.TrimSpace(d.rest) == "" {
			return a.say(words("(nothing to echo)"))
		}
		return a.say(words(d.rest))
	}
	switch {
	case d.crash:
		p.exit(3)
		return nil
	case d.fail != "":
		e := &sdk.Error{Code: d.fail, Message: "as the message asked", Retryable: codes[d.fail]}
		if d.fail == sdk.CodeRateLimited {
			e.RetryAfter = time.Second
		}
		return e
	default:
		return a.call(d.tools)
	}
}

// toolResults are the texts of the tools' messages that the conversation ends with.
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

func lastOfUser(messages []sdk.Message) sdk.Message {
	for _, m := range slices.Backward(messages) {
		if m.Role == sdk.RoleUser {
			return m
		}
	}
	return sdk.Message{}
}

// withBlobs adds to the echo what came with the text, a line each:
// [image/png photo.png 68 bytes].
func withBlobs(echo string, m sdk.Message) string {
	for _, p := range m.Parts {
		if p.Blob == nil {
			continue
		}
		if echo != "" {
			echo += "\n"
		}
		what := strings.TrimSpace(p.Blob.MediaType + " " + p.Blob.Name)
		echo += fmt.Sprintf("[%s %d bytes]", what, len(p.Blob.Data))
	}
	return echo
}

// countWords is what usage counts as tokens.
func countWords(messages []sdk.Message) int64 {
	n := 0
	for _, m := range messages {
		n += len(strings.Fields(m.Text()))
	}
	return int64(n)
}

// words cuts a text before its white space; together the pieces are the text.
func words(text string) []string {
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

// tokens makes n of them: "token-1", " token-2", …
func tokens(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = " token-" + strconv.Itoa(i+1)
	}
	if n > 0 {
		out[0] = out[0][1:]
	}
	return out
}

// answer sends the pieces of one answer.
type answer struct {
	ctx    context.Context
	req    *llm.Request
	out    llm.Stream
	delay  time.Duration
	finish llm.Finish
}

// say sends the pieces, each after the delay, up to max_tokens.
func (a *answer) say(pieces []string) error {
	if most := a.req.MaxTokens; most != nil && int64(len(pieces)) > *most {
		pieces = pieces[:max(0, *most)]
		a.finish.Reason = llm.FinishLength
	}
	pieces = a.stop(pieces)
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

// stop cuts the pieces before the first of the request's stop strings.
func (a *answer) stop(pieces []string) []string {
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
	return words(text[:end])
}

func (a *answer) wait() error {
	if err := a.ctx.Err(); err != nil {
		return left(err)
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
		return left(a.ctx.Err())
	}
}

func left(err error) *sdk.Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &sdk.Error{Code: sdk.CodeTimeout, Message: "the echo did not finish in time"}
	}
	return &sdk.Error{Code: sdk.CodeCancelled, Message: "nobody waits for the echo any more"}
}

// call asks for the tools, or says that the request does not offer them.
func (a *answer) call(tools []sdk.ToolCall) error {
	for _, t := range tools {
		if !slices.ContainsFunc(a.req.Tools, func(o sdk.Tool) bool { return o.Name == t.Name }) {
			return a.say(words(a.missing(t.Name)))
		}
	}
	for i, t := range tools {
		if err := a.wait(); err != nil {
			return err
		}
		// The length of the conversation keeps the ids of a run apart.
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

func (a *answer) missing(name string) string {
	names := make([]string, 0, len(a.req.Tools))
	for _, t := range a.req.Tools {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return fmt.Sprintf("There is no tool %q: this agent has none.", name)
	}
	return fmt.Sprintf("There is no tool %q; there are: %s.", name, strings.Join(names, ", "))
}

func (a *answer) end(err error) (*llm.Finish, error) {
	if err != nil {
		return nil, err
	}
	return &a.finish, nil
}
