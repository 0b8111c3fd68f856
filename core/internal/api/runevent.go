package api

// These types document the data of the events of a run, which the engine writes.
type (
	startEvent struct {
		Type      string `json:"type" enum:"start" doc:"The first event of a run"`
		SessionID string `json:"session_id"`
		RunID     string `json:"run_id"`
	}
	tokenEvent struct {
		Type    string `json:"type" enum:"token" doc:"The next piece of the answer"`
		Content string `json:"content"`
	}
	toolCallEvent struct {
		Type      string `json:"type" enum:"tool_call" doc:"The agent calls a tool"`
		ID        string `json:"id" doc:"The id of the call"`
		Name      string `json:"name"`
		Arguments any    `json:"arguments" doc:"The arguments: a JSON object, or the text of the model if that is not JSON"`
	}
	toolResultEvent struct {
		Type    string        `json:"type" enum:"tool_result" doc:"The result of a tool call"`
		ID      string        `json:"id" doc:"The id of the call"`
		Name    string        `json:"name"`
		Content []contentPart `json:"content"`
		IsError bool          `json:"is_error" doc:"Whether the tool reported a failure"`
	}
	usageEvent struct {
		Type  string     `json:"type" enum:"usage" doc:"A step other than the last one has finished"`
		Model string     `json:"model"`
		Usage tokenUsage `json:"usage"`
	}
	restartEvent struct {
		Type      string `json:"type" enum:"restart" doc:"A crash interrupted the step, which is repeated"`
		Attempt   int    `json:"attempt" doc:"How often the run was started"`
		DropAfter int64  `json:"drop_after" doc:"Discard the tokens with a greater id. They are generated again"`
	}
	endEvent struct {
		Type      string `json:"type" enum:"end" doc:"The last event of a run that has an answer"`
		MessageID string `json:"message_id,omitempty" doc:"The answer. It is missing if the run was cancelled before its first token"`
		Metadata  Object `json:"metadata" doc:"model, tokens_used, run_id, status, finish_reason, usage; history_truncated if the model received only the newest messages of the session"`
	}

	// contentPart is a piece of the result of a tool.
	contentPart struct {
		Text string       `json:"text,omitempty"`
		Blob *contentBlob `json:"blob,omitempty" doc:"Binary content, such as an image"`
		File *contentFile `json:"file,omitempty" doc:"A file of the API"`
	}
	contentBlob struct {
		MediaType string `json:"media_type"`
		Data      []byte `json:"data"`
		Name      string `json:"name,omitempty"`
	}
	contentFile struct {
		ID        string `json:"id"`
		Name      string `json:"name"`
		MediaType string `json:"media_type"`
		Size      int64  `json:"size" doc:"In bytes"`
	}
	// tokenUsage is the number of tokens of a step.
	tokenUsage struct {
		InputTokens       int64 `json:"input_tokens"`
		OutputTokens      int64 `json:"output_tokens"`
		CachedInputTokens int64 `json:"cached_input_tokens,omitempty" doc:"Input tokens that were read from the provider's cache"`
		ReasoningTokens   int64 `json:"reasoning_tokens,omitempty" doc:"Output tokens that were used for reasoning"`
	}
)

// RunEvents describes the events of a run.
var RunEvents = &Events{
	Name: "RunEvent",
	Types: []any{
		startEvent{Type: "start", SessionID: "session-123", RunID: "run-123"},
		tokenEvent{Type: "token", Content: "Once"},
		toolCallEvent{Type: "tool_call", ID: "call-1", Name: "weather__forecast", Arguments: map[string]string{"city": "Oslo"}},
		toolResultEvent{
			Type: "tool_result", ID: "call-1", Name: "weather__forecast", Content: []contentPart{{Text: "Sunny, 21 °C"}},
		},
		usageEvent{Type: "usage", Model: "gpt-4", Usage: tokenUsage{InputTokens: 120, OutputTokens: 30}},
		restartEvent{Type: "restart", Attempt: 2, DropAfter: 4},
		endEvent{Type: "end", MessageID: "msg-789", Metadata: Object(`{"tokens_used":245}`)},
		ErrorEvent{Type: "error", RunID: "run-123", Error: ExampleError.Error},
	},
	Example: `id: 1
data: {"type":"start","session_id":"session-123","run_id":"run-123"}

id: 2
data: {"type":"token","content":"Once"}

id: 3
data: {"type":"token","content":" upon"}

id: 4
data: {"type":"token","content":" a"}

id: 5
data: {"type":"end","message_id":"msg-789","metadata":{"tokens_used":245}}

`,
}
