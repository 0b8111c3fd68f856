package run_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// strictModel is a provider that accepts only conversations which all real providers accept. It answers with
// the next of its answers.
type strictModel struct {
	mu      sync.Mutex
	prompts []string
	answers []provider
	// noImages makes it reject images.
	noImages bool
}

func (*strictModel) ListModels(context.Context) ([]llm.Model, error) { return nil, nil }

func (s *strictModel) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	s.mu.Lock()
	s.prompts = append(s.prompts, conversationText(req.Messages))
	reason := s.reject(req.Messages)
	answer := say("ok")
	if reason == "" && len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	if reason != "" {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: reason}
	}
	return answer(ctx, req, out)
}

// reject returns why it rejects messages, or "".
func (s *strictModel) reject(messages []sdk.Message) string {
	var last sdk.Role
	open := map[string]bool{}
	for _, m := range messages {
		switch {
		case strings.TrimSpace(m.Text()) == "" && len(m.ToolCalls) == 0 && len(m.Parts) < 2:
			return "empty message"
		case m.Role == last && m.Role != sdk.RoleTool:
			return "roles must alternate"
		case m.Role == sdk.RoleTool && !open[m.ToolCallID]:
			return "result without a call"
		case m.Role != sdk.RoleTool && len(open) > 0:
			return "call without a result"
		case s.noImages && slices.ContainsFunc(m.Parts, func(p sdk.Part) bool { return p.Blob != nil }):
			return "no images, please"
		}
		delete(open, m.ToolCallID)
		for _, c := range m.ToolCalls {
			open[c.ID] = true
		}
		last = m.Role
	}
	if len(open) > 0 {
		return "call without a result"
	}
	return ""
}

// newestPrompt returns the prompt that the model has received last, one message a line.
func (s *strictModel) newestPrompt() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prompts[len(s.prompts)-1]
}

func conversationText(messages []sdk.Message) string {
	var lines []string
	for _, m := range messages {
		line := string(m.Role) + ": " + strings.ReplaceAll(m.Text(), "\n", "|")
		for _, c := range m.ToolCalls {
			line += fmt.Sprintf(" call %s %s%s", c.ID, c.Name, c.Arguments)
		}
		if m.Role == sdk.RoleTool {
			line += " for " + m.ToolCallID
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func fail(code sdk.ErrorCode) provider {
	return func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
		return nil, &sdk.Error{Code: code, Message: "failed"}
	}
}

// callTool returns a provider that asks for a tool.
func callTool(id, name, arguments string) provider {
	return func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		d := llm.Delta{ToolCall: &llm.ToolCallDelta{ID: id, Name: name, Arguments: arguments}}
		return &llm.Finish{Reason: llm.FinishToolCalls, Model: "m-1"}, out.Send(d)
	}
}

// useTools is an agent type that calls tools until the model answers.
func useTools(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
	messages := append(slices.Clone(r.History), r.Input)
	for {
		got, err := call(&agent.Call{Complete: &agent.Completion{
			Model: "m", Messages: slices.Clone(messages), Forward: true, Final: true,
		}})
		if err != nil || len(got.Answer.Message.ToolCalls) == 0 {
			return nil, err
		}
		messages = append(messages, got.Answer.Message)
		for _, c := range got.Answer.Message.ToolCalls {
			got, err := call(&agent.Call{CallTool: &c})
			if err != nil {
				return nil, err
			}
			messages = append(messages, sdk.Message{Role: sdk.RoleTool, ToolCallID: c.ID, Parts: got.ToolResult.Parts})
		}
	}
}

// A turn that failed, was cancelled or had an empty answer must not make a later turn of the session fail.
func TestSession_continuesAfterBadTurns(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]struct {
		model provider
		want  string
	}{
		"failed":       {fail(sdk.CodeInternal), "user: first\nassistant: ok\nuser: second||third"},
		"refused":      {fail(sdk.CodeContentFilter), "user: first\nassistant: ok\nuser: second||third"},
		"empty answer": {say(""), "user: first\nassistant: ok\nuser: second||third"},
		"white space":  {say(" \n"), "user: first\nassistant: ok\nuser: second||third"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			model := &strictModel{answers: []provider{say("ok"), bad.model}}
			env.plugins.set(sendConversation(), model)
			s := env.start()
			for _, text := range []string{"first", "second"} {
				s.wait(s.mustTurn("s1", text))
			}
			equal(t, s.wait(s.mustTurn("s1", "third")), "ok")
			equal(t, model.newestPrompt(), bad.want)
		})
	}
}

func TestSession_keepsToolCalls(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.toolbox = &fakeTools{calls: map[string]int{}}
	model := &strictModel{answers: []provider{
		callTool("a", "read", `{"n":1}`), callTool("b", "set", `{}`), say("done"),
	}}
	env.plugins.set(loop(useTools), model)
	s := env.start()
	equal(t, s.wait(s.mustTurn("s1", "first")), "done")
	equal(t, s.wait(s.mustTurn("s1", "second")), "ok")
	const steps = "user: first\nassistant:  call a read{\"n\":1}\ntool: read done for a\n" +
		"assistant:  call b set{}\ntool: set done for b\nassistant: done\nuser: second"
	equal(t, model.newestPrompt(), steps)
	// The earlier turn's calls are no steps of the second answer.
	equal(t, s.wait(s.mustTurn("s1", "third")), "ok")
	equal(t, model.newestPrompt(), steps+"\nassistant: ok\nuser: third")
}

func TestSession_keepsToolCallsAfterACrash(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.toolbox = &fakeTools{calls: map[string]int{}}
	crashing := func(ctx context.Context, _ *llm.Request, _ llm.Stream) (*llm.Finish, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	env.plugins.set(loop(useTools), &strictModel{answers: []provider{callTool("a", "read", `{}`), crashing}})
	first := env.start()
	r := first.mustTurn("s1", "first")
	first.watchUntil(r, "tool_result")
	first.crash()
	model := &strictModel{answers: []provider{say("done")}}
	env.plugins.set(loop(useTools), model)
	second := env.start()
	equal(t, second.wait(r), "done")
	equal(t, second.wait(second.mustTurn("s1", "second")), "ok")
	equal(t, model.newestPrompt(),
		"user: first\nassistant:  call a read{}\ntool: read done for a\nassistant: done\nuser: second")
}

func TestSession_continuesAfterARefusedAttachment(t *testing.T) {
	t.Parallel()
	for name, firstRefuses := range map[string]bool{"refused at once": true, "accepted first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			image := env.files.put(env.actor, "file-1", "a.png", "image/png", []byte("PNG"))
			model := &strictModel{noImages: firstRefuses}
			env.plugins.set(sendConversation(), model)
			s := env.start()
			r, err := s.turnWith("s1", sdk.Part{Text: "look"}, image)
			if err != nil {
				t.Fatal(err)
			}
			want := "ok"
			if firstRefuses {
				want = `UPSTREAM_ERROR: provider "test": no images, please (the message has attachments: file a.png)`
			}
			equal(t, s.wait(r), want)
			model.mu.Lock()
			model.noImages = true
			model.mu.Unlock()
			equal(t, s.wait(s.mustTurn("s1", "and now?")), "ok")
			if p := model.newestPrompt(); !strings.Contains(p, "[file a.png: omitted because the model did not accept it]") {
				t.Errorf("got prompt %s", p)
			}
		})
	}
}
