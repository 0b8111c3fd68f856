package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

type chatRequest struct {
	Message   string   `json:"message" pattern:"\\S" patternDescription:"Must not be empty" doc:"What you say to the agent"`
	SessionID string   `json:"session_id,omitempty" pattern:"^[A-Za-z0-9._:-]{1,128}$" patternDescription:"Must be 1 to 128 of A-Z, a-z, 0-9, dot, underscore, colon and hyphen" doc:"The conversation; one that is not there yet is begun by that name, and a new one without it"`
	FileIDs   []string `json:"file_ids,omitempty" maxItems:"16" doc:"Files that go with the message: ids that POST /v1/files/upload gave, each once"`
	Stream    bool     `json:"stream,omitempty" default:"false" doc:"Send the answer as server-sent events while it is made"`
}

type chatReply struct {
	ID        string        `json:"id"`
	Message   string        `json:"message"`
	Files     []messageFile `json:"files,omitempty" doc:"Files that came with the answer"`
	SessionID string        `json:"session_id"`
	Timestamp stamp         `json:"timestamp"`
	Metadata  object        `json:"metadata" doc:"model, tokens_used, run_id"`
}

// messageFile is a file as a message names it: it may be gone since.
type messageFile struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Size        int64  `json:"size" doc:"In bytes"`
}

type chatInput struct {
	AgentID string `path:"agent_id"`
	Body    chatRequest
}

const (
	exampleMetadata = `{"model":"gpt-4","tokens_used":150,"run_id":"run-123"}`
	exampleStream   = `id: 1
data: {"type":"start","session_id":"session-123","run_id":"run-123"}

id: 2
data: {"type":"token","content":"Once"}

id: 3
data: {"type":"token","content":" upon"}

id: 4
data: {"type":"token","content":" a"}

id: 5
data: {"type":"end","message_id":"msg-789","metadata":{"tokens_used":245}}

`
)

func (a *api) registerChat() {
	register(a, operation{
		id: "chat", method: http.MethodPost, path: "/v1/agents/{agent_id}/chat", tag: "Chat", summary: "Send a message", access: writer,
		about: "Answers when the agent is done, or with `stream` as it goes: events of the types start, token, tool_call, tool_result, usage, " +
			"restart (drop the message so far), and at the end end or error. A client that goes away does not stop the run: " +
			"GET /v1/runs/{run_id}/events goes on where it was. One turn at a time in a session; a second is 409.",
		request: chatRequest{Message: "Hello, how can you help me?", SessionID: "session-123"},
		response: chatReply{
			ID: "msg-456", Message: "Hello! I'm here to help you with...", SessionID: "session-123",
			Timestamp: exampleTime, Metadata: object(exampleMetadata),
		},
		stream: exampleStream,
		errors: []core.Code{core.CodeConflict, core.CodeUpstream, core.CodeUpstreamTimeout},
	}, a.chat)
}

func (a *api) chat(ctx context.Context, in *chatInput) (*huma.StreamResponse, error) {
	v := actor(ctx)
	ag, err := a.agents.Agent(ctx, v, in.AgentID)
	if err != nil {
		return nil, err
	}
	if ag.Status == core.AgentInactive {
		return nil, core.Conflict("The agent %q is inactive: set its status to active first", ag.ID)
	}
	parts, err := a.chatParts(ctx, v, in.Body)
	if err != nil {
		return nil, err
	}
	run, err := a.runner.StartTurn(ctx, v, core.Turn{
		Agent: ag, SessionID: in.Body.SessionID, Parts: parts, Stream: in.Body.Stream,
	})
	if err != nil {
		return nil, err
	}
	if in.Body.Stream {
		events, err := a.runner.Watch(ctx, v, run.ID, 0)
		if err != nil {
			return nil, err
		}
		return a.stream(ctx, events), nil
	}
	m, err := a.runner.Wait(ctx, run)
	if err != nil {
		return nil, err
	}
	return replyOf(m), nil
}

// chatParts are the message and the files that go with it, which must be the
// user's own: runs see no others, an admin's neither.
func (a *api) chatParts(ctx context.Context, v core.Actor, r chatRequest) ([]sdk.Part, error) {
	v.Role = core.RoleMember
	parts := []sdk.Part{{Text: r.Message}}
	for i, id := range r.FileIDs {
		// Huma's uniqueItems panics at an item that is an array or an object.
		if slices.Contains(r.FileIDs[:i], id) {
			return nil, core.Invalid("file_ids", "Must not have an item twice")
		}
		f, err := a.fileStore.File(ctx, v, id)
		if core.CodeOf(err) == core.CodeNotFound {
			return nil, core.Invalid(fmt.Sprintf("file_ids[%d]", i), "There is no file %q: upload it with POST /v1/files/upload", id)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, sdk.Part{File: f.Ref()})
	}
	return parts, nil
}

func replyOf(m *core.Message) *huma.StreamResponse {
	return whole(chatReply{
		ID: m.ID, Message: text(m.Parts), Files: filesOf(m.Parts), SessionID: m.SessionID, Timestamp: stamp(m.CreatedAt), Metadata: object(m.Metadata),
	})
}

func text(parts []sdk.Part) string {
	if len(parts) == 1 {
		return parts[0].Text
	}
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// filesOf names the files among the parts.
func filesOf(parts []sdk.Part) []messageFile {
	var files []messageFile
	for _, p := range parts {
		if f := p.File; f != nil {
			files = append(files, messageFile{ID: f.ID, Name: f.Name, ContentType: f.MediaType, Size: f.Size})
		}
	}
	return files
}
