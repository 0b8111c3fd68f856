package sdk

// Tool describes a tool to a model.
type Tool struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Parameters is the JSON Schema of the arguments.
	Parameters string `json:"parameters,omitempty"`
	// ReadOnly reports whether the tool changes nothing.
	ReadOnly bool `json:"read_only,omitempty"`
	// Idempotent reports whether a repeated call with the same arguments has no additional effect.
	Idempotent bool `json:"idempotent,omitempty"`
}

// ToolCall is a model's request to call a tool.
type ToolCall struct {
	// ID is the ID that the model assigned to the call. The message with the result repeats it.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Arguments is a JSON object.
	Arguments string `json:"arguments"`
}

// ToolResult is the result of a tool call, to be passed to the model.
type ToolResult struct {
	Parts   []Part `json:"parts,omitempty"`
	IsError bool   `json:"is_error,omitempty"`
}
