package run_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// sendConversation returns a loop that sends the complete conversation to the model.
func sendConversation(tools ...sdk.Tool) loop {
	return func(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
		_, err := call(&agent.Call{Complete: &agent.Completion{
			Model: "m", Messages: append(slices.Clone(r.History), r.Input), Tools: tools, Final: true,
		}})
		return nil, err
	}
}

// promptRecorder is a provider that records the last prompt.
type promptRecorder struct {
	mu   sync.Mutex
	last []sdk.Message
}

func (*promptRecorder) ListModels(context.Context) ([]llm.Model, error) { return nil, nil }

func (e *promptRecorder) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	e.mu.Lock()
	e.last = req.Messages
	e.mu.Unlock()
	return say("ok")(ctx, req, out)
}

// prompt returns the last prompt as text. It describes a blob by its type, name and size.
func (e *promptRecorder) prompt() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	for _, m := range e.last {
		b.WriteString(string(m.Role) + ":")
		for _, p := range m.Parts {
			switch {
			case p.Blob != nil:
				fmt.Fprintf(&b, "<%s %s %d>", p.Blob.MediaType, p.Blob.Name, len(p.Blob.Data))
			case p.File != nil:
				b.WriteString("<a file>")
			default:
				b.WriteString(p.Text)
			}
		}
	}
	return b.String()
}

func TestPrompt_containsFile(t *testing.T) {
	t.Parallel()
	// The 100,000th byte is in the middle of a rune.
	long := "x" + strings.Repeat("ä", 60_000)
	for name, c := range map[string]struct {
		contentType string
		data        string
		unsupported string
		tools       []sdk.Tool
		change      func(env *testEnv, f *core.File)
		want        string
	}{
		"text": {
			contentType: "text/plain; charset=utf-8", data: "Hello",
			want: "\n[file a.x (file-1, text/plain; charset=utf-8, 5 bytes)]\nHello\n[end of file a.x]\n",
		},
		"empty text": {contentType: "text/plain", want: "\n[file a.x (file-1, text/plain, 0 bytes)]\n\n[end of file a.x]\n"},
		"JSON": {
			contentType: "application/json", data: "{}",
			want: "\n[file a.x (file-1, application/json, 2 bytes)]\n{}\n[end of file a.x]\n",
		},
		"invalid UTF-8": {
			contentType: "text/csv", data: "a\xff\x00b",
			want: "\n[file a.x (file-1, text/csv, 4 bytes)]\na\uFFFD\uFFFDb\n[end of file a.x]\n",
		},
		"long text": {
			contentType: "text/plain", data: long,
			want: "\n[file a.x (file-1, text/plain, 120001 bytes)]\n" + long[:99_999] +
				"\n[file a.x is truncated after 99999 of 120001 bytes]\n",
		},
		"long text with files__read": {
			contentType: "text/plain", data: long, tools: []sdk.Tool{{Name: "files__read"}},
			want: "\n[file a.x (file-1, text/plain, 120001 bytes)]\n" + long[:99_999] +
				"\n[file a.x is truncated after 99999 of 120001 bytes; to read the rest, call files__read with offset 99999]\n",
		},
		"image": {contentType: "image/png", data: "PNG", want: "<image/png a.x 3>"},
		"image for a model without images": {
			contentType: "image/png", data: "PNG", unsupported: "images",
			want: "\n[file a.x (file-1, image/png, 3 bytes): this model does not accept images]\n",
		},
		"huge image": {
			contentType: "image/jpeg", data: strings.Repeat("x", 10<<20+1),
			want: "\n[file a.x (file-1, image/jpeg, 10485761 bytes): larger than the limit of 10 MiB for images]\n",
		},
		"PDF": {
			contentType: "application/pdf", data: "%PDF",
			want: "\n[file a.x (file-1, application/pdf, 4 bytes): files of this type cannot be shown to the model]\n",
		},
		"deleted": {
			contentType: "text/plain", data: "Hello", change: func(env *testEnv, f *core.File) { delete(env.files.files, f.ID) },
			want: "\n[file a.x (file-1, text/plain, 5 bytes): deleted, or not a file of this user and conversation]\n",
		},
		"file of another user": {
			contentType: "text/plain", data: "Hello", change: func(_ *testEnv, f *core.File) { f.CreatedBy = "user-other" },
			want: "\n[file a.x (file-1, text/plain, 5 bytes): deleted, or not a file of this user and conversation]\n",
		},
		"unreadable": {
			contentType: "text/plain", data: "Hello",
			change: func(env *testEnv, _ *core.File) { env.files.fail = errors.New("oh") },
			want:   "\n[file a.x (file-1, text/plain, 5 bytes): cannot be read]\n",
		},
		"lost by the backend": {
			contentType: "text/plain", data: "Hello", change: func(env *testEnv, _ *core.File) {
				env.files.fail = &core.Error{Code: core.CodeUnavailable, Message: "lost", Err: &sdk.Error{Code: sdk.CodeNotFound}}
			},
			want: "\n[file a.x (file-1, text/plain, 5 bytes): cannot be read]\n",
		},
		"renamed": {
			contentType: "text/plain", data: "Hello", change: func(_ *testEnv, f *core.File) { f.Name = "b.x" },
			want: "\n[file b.x (file-1, text/plain, 5 bytes)]\nHello\n[end of file b.x]\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			model := &promptRecorder{}
			env.plugins.set(sendConversation(c.tools...), model)
			env.plugins.unsupported = c.unsupported
			part := env.files.put(env.actor, "file-1", "a.x", c.contentType, []byte(c.data))
			if c.change != nil {
				c.change(env, env.files.files["file-1"])
			}
			s := env.start()
			r, err := s.turnWith("s1", sdk.Part{Text: "see"}, part)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, s.wait(r), "ok")
			equal(t, model.prompt(), "user:see"+c.want)

			// The recorded calls must not contain the content of files.
			calls, err := env.db.Calls(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range calls {
				if strings.Contains(string(call.Request)+string(call.Result), "Hello") {
					t.Errorf("call contains the content of the file: request %s, result %s", call.Request, call.Result)
				}
			}
		})
	}
}

// A later turn contains the files of earlier turns, and a file that is named twice only once.
func TestPrompt_containsFilesOfEarlierTurns(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &promptRecorder{}
	env.plugins.set(sendConversation(), model)
	a := env.files.put(env.actor, "file-a", "a", "text/plain", []byte("AAA"))
	b := env.files.put(env.actor, "file-b", "b", "image/png", []byte("BBB"))
	s := env.start()
	for _, parts := range [][]sdk.Part{{a, b}, {{Text: "again"}, a}} {
		r, err := s.turnWith("s1", parts...)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, s.wait(r), "ok")
	}
	equal(t, model.prompt(), "user:\n[file a (file-a, text/plain, 3 bytes): included below]\n<image/png b 3>"+
		"assistant:ok"+
		"user:again\n[file a (file-a, text/plain, 3 bytes)]\nAAA\n[end of file a]\n")
}

// A file that only the agent type names is not in the prompt.
func TestPrompt_omitsFilesThatOnlyTheAgentTypeNames(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &promptRecorder{}
	mine := env.files.put(env.actor, "file-mine", "mine", "text/plain", []byte("secret"))
	env.plugins.set(loop(func(_ context.Context, _ *agent.Run, call callFunc) (*sdk.Message, error) {
		_, err := call(&agent.Call{Complete: &agent.Completion{Model: "m", Messages: []sdk.Message{
			{Role: sdk.RoleUser, Parts: []sdk.Part{mine}},
			{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "1", Name: "read"}}},
			{Role: sdk.RoleTool, ToolCallID: "1", Parts: []sdk.Part{mine}},
		}}})
		return &sdk.Message{Role: sdk.RoleAssistant, Parts: []sdk.Part{{Text: "here"}, mine}}, err
	}), model)
	s := env.start()
	r := s.mustTurn("s1", "hi")
	equal(t, s.wait(r), "here")
	equal(t, model.prompt(),
		"user:\n[file mine (file-mine, text/plain, 6 bytes): deleted, or not a file of this user and conversation]\n"+
			"assistant:tool:\n[file mine (file-mine, text/plain, 6 bytes)]\n")
	// Naming the file in the answer does not add it to the conversation either.
	equal(t, env.answerFiles(), "")
}

func TestPrompt_prefersNewerFiles(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &promptRecorder{}
	env.plugins.set(sendConversation(), model)
	s := env.start()
	for i := range 4 {
		size := 9 << 20
		if i == 0 {
			size = 5 << 20
		}
		name := fmt.Sprint(i)
		r, err := s.turnWith("s1", env.files.put(env.actor, "file-"+name, name, "image/png", make([]byte, size)))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, s.wait(r), "ok")
	}
	equal(t, model.prompt(), "user:<image/png 0 5242880>assistant:ok"+
		"user:\n[file 1 (file-1, image/png, 9437184 bytes): omitted because the newer files fill the prompt]\nassistant:ok"+
		"user:<image/png 2 9437184>assistant:ok"+
		"user:<image/png 3 9437184>")
}

func TestPrompt_countsOtherBlobs(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &promptRecorder{}
	env.plugins.set(loop(func(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
		m := r.Input
		m.Parts = append(slices.Clone(m.Parts),
			sdk.Part{Blob: &sdk.Blob{MediaType: "image/png", Name: "own", Data: make([]byte, 55<<20)}})
		_, err := call(&agent.Call{Complete: &agent.Completion{Model: "m", Messages: []sdk.Message{m}, Final: true}})
		return nil, err
	}), model)
	s := env.start()
	r, err := s.turnWith("s1", env.files.put(env.actor, "file-1", "1", "image/png", make([]byte, 6<<20)))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, s.wait(r), "ok")
	equal(t, model.prompt(),
		"user:\n[file 1 (file-1, image/png, 6291456 bytes): omitted because the newer files fill the prompt]\n<image/png own 57671680>")
}

func TestPrompt_failsWhenTheFileBackendIsUnavailable(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &promptRecorder{}
	env.plugins.set(sendConversation(), model)
	s := env.start()
	part := env.files.put(env.actor, "file-1", "a.txt", "text/plain", []byte("Hello"))
	env.files.change(func() {
		env.files.fail = &core.Error{
			Code: core.CodeUnavailable, Message: "The file backend is away",
			Err: &sdk.Error{Code: sdk.CodePluginCrashed, Message: "private"},
		}
	})
	r, err := s.turnWith("s1", part)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, s.watch(r), "start\nerror SERVICE_UNAVAILABLE The file backend is away")
	if got := env.stored(r); got.Error == nil || got.Error.Code != sdk.CodeUnavailable || !got.Error.Retryable {
		t.Errorf("error of run = %+v, want a retryable %s", got.Error, sdk.CodeUnavailable)
	}
	if model.last != nil {
		t.Errorf("model received the prompt %v without the file, want no prompt", model.last)
	}
	env.files.change(func() { env.files.fail = nil })
	equal(t, s.wait(s.mustTurn("s1", "again")), "ok")
	if !strings.Contains(model.prompt(), "Hello") {
		t.Errorf("prompt = %q, want the content of the file", model.prompt())
	}
}
