// Package chat serves chat turns with an agent and their history.
package chat

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/sdk"
)

// Agents reads agents.
type Agents interface {
	// Get fails with NotFound if the actor may not see the agent.
	Get(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
	// Active returns an agent that accepts messages. It fails as Get does, or with Conflict if the agent
	// is inactive.
	Active(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
}

// Files attaches files to messages.
type Files interface {
	// MessageParts returns a text and the actor's files as parts of a message. It fails with Invalid.
	MessageParts(ctx context.Context, v core.Actor, text string, fileIDs []string) ([]sdk.Part, error)
}

// Messages reads the messages of sessions.
type Messages interface {
	// Messages returns the newest messages that match, in order of time, and whether there are older ones.
	Messages(ctx context.Context, f core.MessageFilter) (messages []*core.Message, more bool, err error)
}

// Runner runs chat turns.
type Runner interface {
	// StartTurn stores the user's message and starts a run. It fails with Conflict during another
	// turn of the session.
	StartTurn(ctx context.Context, audit *core.AuditRecord, v core.Actor, t core.Turn) (*core.Run, error)
	// Wait waits for the end of the run, of which it uses the id and the user. It returns the answer, or the error of the run.
	Wait(ctx context.Context, r *core.Run) (*core.Message, error)
	// Watch returns the events of a run after a number.
	Watch(ctx context.Context, v core.Actor, id string, after int64) (core.EventStream, error)
}

// Options are the dependencies of the group.
type Options struct {
	Agents   Agents
	Files    Files
	Messages Messages
	Runner   Runner
}

type chatRequest struct {
	Message   string   `json:"message" pattern:"\\S" patternDescription:"Must not be empty" doc:"Your message to the agent"`
	SessionID string   `json:"session_id,omitempty" minLength:"1" maxLength:"128" doc:"The conversation: up to 128 printable characters of any script, without the path segments . and .. An unknown id starts a session with that id. Without an id, a new session is started"`
	FileIDs   []string `json:"file_ids,omitempty" maxItems:"16" doc:"Files to attach: ids from POST /v1/files/upload, without duplicates"`
	Stream    bool     `json:"stream,omitempty" default:"false" doc:"Stream the answer as server-sent events"`
}

type chatReply struct {
	ID        string        `json:"id"`
	Message   string        `json:"message"`
	Files     []messageFile `json:"files,omitempty" doc:"Files attached to the answer"`
	SessionID string        `json:"session_id"`
	Timestamp api.Time      `json:"timestamp"`
	Metadata  api.Object    `json:"metadata" doc:"model, tokens_used, run_id; history_truncated if the model received only the newest messages of the session"`
}

// messageFile is a file attached to a message. The file itself may have been deleted since.
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

const exampleMetadata = `{"model":"gpt-4","tokens_used":150,"run_id":"run-123"}`

type handlers struct {
	Options
	api *api.API
}

// Register adds the operations of the group.
func Register(a *api.API, o Options) {
	h := &handlers{Options: o, api: a}
	api.RegisterRepeatable(a, api.Operation{
		ID: "chat", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/chat",
		Tag: "Chat", Summary: "Send a message", Access: api.Writer,
		Description: "Returns the agent's complete answer, or with `stream` its events: start, token, tool_call, " +
			"tool_result, usage, restart (discard the partial message), and finally end or error. Disconnecting does not " +
			"cancel the run: GET /v1/runs/{run_id}/events continues the stream. A session runs one turn at a time; a second " +
			"one is 409. An API key also needs files:read for file_ids and in a session with files that you have attached or " +
			"an agent has written, and tasks:read in the session of a task.",
		Request: chatRequest{Message: "Hello, how can you help me?", SessionID: "session-123"},
		Response: chatReply{
			ID: "msg-456", Message: "Hello! I'm here to help you with...", SessionID: "session-123",
			Timestamp: api.ExampleTime, Metadata: api.Object(exampleMetadata),
		},
		Stream: api.RunEvents,
		Errors: []core.Code{core.CodeConflict, core.CodeUpstream, core.CodeUpstreamTimeout},
	}, h.chat, h.replay)
	api.Register(a, api.Operation{
		ID: "chat-history", Method: http.MethodGet,
		Path: "/v1/agents/{agent_id}/chat/history", Tag: "Chat", Access: api.SignedIn,
		Summary: "Get the chat history",
		Description: "Your newest messages with the agent, in chronological order. An unknown session is an empty list. " +
			"The session of a task has the id of the task; an API key needs tasks:read to read it.",
		Response: history{Limit: 50, Messages: []message{
			{
				ID: "msg-455", Role: sdk.RoleUser, Content: "Hello, how can you help me?", SessionID: "session-123",
				Timestamp: api.ExampleTime,
			},
			{
				ID: "msg-456", Role: sdk.RoleAssistant, Content: "Hello! I'm here to help you with...", SessionID: "session-123",
				Timestamp: api.ExampleTime, Metadata: api.Object(exampleMetadata),
			},
		}},
		Errors: []core.Code{core.CodeForbidden},
		Large:  true,
	}, h.history)
}

func (h *handlers) chat(ctx context.Context, in *chatInput) (*huma.StreamResponse, error) {
	if id := in.Body.SessionID; id != "" {
		if err := core.CheckSessionID("session_id", id); err != nil {
			return nil, err
		}
	}
	v := api.Actor(ctx)
	ag, err := h.Agents.Active(ctx, v, in.AgentID)
	if err != nil {
		return nil, err
	}
	if err := h.checkScopes(ctx, in); err != nil {
		return nil, err
	}
	parts, err := h.Files.MessageParts(ctx, v, in.Body.Message, in.Body.FileIDs)
	if err != nil {
		return nil, err
	}
	if in.Body.Stream {
		// Otherwise the turn would start although its stream is refused.
		if err := h.api.ReserveStream(ctx); err != nil {
			return nil, err
		}
	}
	run, err := h.Runner.StartTurn(ctx, api.Audit(ctx), v, core.Turn{
		Agent: ag, SessionID: in.Body.SessionID, Parts: parts, Stream: in.Body.Stream,
	})
	if err != nil {
		return nil, err
	}
	return h.answer(ctx, in, run)
}

// replay joins the run of an earlier request with the same Idempotency-Key, or repeats its answer.
func (h *handlers) replay(ctx context.Context, in *chatInput, runID string) (*huma.StreamResponse, error) {
	if err := h.checkScopes(ctx, in); err != nil {
		return nil, err
	}
	// Otherwise, any number of requests could wait for one run.
	if err := h.api.ReserveStream(ctx); err != nil {
		return nil, err
	}
	return h.answer(ctx, in, &core.Run{ID: runID, UserID: api.Actor(ctx).UserID})
}

// answer returns the answer of a run, or its events.
func (h *handlers) answer(ctx context.Context, in *chatInput, run *core.Run) (*huma.StreamResponse, error) {
	api.LeaveLarge(ctx)
	if in.Body.Stream {
		events, err := h.Runner.Watch(ctx, api.Actor(ctx), run.ID, 0)
		if err != nil {
			return nil, core.OfRun(err, run.ID)
		}
		return h.api.Stream(ctx, events), nil
	}
	m, err := h.Runner.Wait(ctx, run)
	if err != nil {
		return nil, core.OfRun(err, run.ID)
	}
	reply := newChatReply(m)
	// An answer that was paid for is sent even if too many large requests of the user wait.
	if err := h.api.EnterLarge(ctx, len(reply.Message)); err != nil && ctx.Err() != nil {
		return nil, core.OfRun(err, run.ID)
	}
	return api.JSONResponse(reply), nil
}

// checkScopes fails with Forbidden if the turn would show the caller, through the agent, what the scopes of
// the API key do not cover: files that the user attaches now, files of the session, which the user has attached or
// an agent has written, or the session of a task.
func (h *handlers) checkScopes(ctx context.Context, in *chatInput) error {
	sessionID := in.Body.SessionID
	if core.IsTaskSession(sessionID) {
		if err := api.RequireScope(ctx, core.ResourceTasks, false); err != nil {
			return err
		}
	}
	if api.Allows(ctx, core.ResourceFiles, false) {
		return nil
	}
	if len(in.Body.FileIDs) > 0 {
		return api.MissingScope(core.ResourceFiles, false)
	}
	if sessionID == "" {
		return nil
	}
	earlier, _, err := h.Messages.Messages(ctx, core.MessageFilter{
		AgentID: in.AgentID, UserID: api.Actor(ctx).UserID, SessionID: sessionID, Limit: maxHistory,
	})
	if err != nil {
		return err
	}
	for _, m := range earlier {
		if len(attachedFiles(m.Parts)) > 0 {
			return api.MissingScope(core.ResourceFiles, false)
		}
	}
	return nil
}

// maxHistory is at least the number of earlier messages that a run receives.
const maxHistory = 128

func newChatReply(m *core.Message) chatReply {
	return chatReply{
		ID: m.ID, Message: text(m.Parts), Files: attachedFiles(m.Parts), SessionID: m.SessionID,
		Timestamp: api.Time(m.CreatedAt), Metadata: api.Object(m.Metadata),
	}
}

// text returns the texts of the parts, joined.
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

// attachedFiles returns the files among the parts.
func attachedFiles(parts []sdk.Part) []messageFile {
	var files []messageFile
	for _, p := range parts {
		if f := p.File; f != nil {
			files = append(files, messageFile{ID: f.ID, Name: f.Name, ContentType: f.MediaType, Size: f.Size})
		}
	}
	return files
}
