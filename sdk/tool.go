package sdk

// Tool is what a model is told of a tool.
type Tool struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Parameters is a JSON Schema of the arguments.
	Parameters string `json:"parameters,omitempty"`
	// ReadOnly tools change nothing.
	ReadOnly bool `json:"read_only,omitempty"`
	// Idempotent tools may be called twice with the same arguments.
	Idempotent bool `json:"idempotent,omitempty"`
}

// ToolCall is a model's wish to use a tool.
type ToolCall struct {
	// ID is the model's name for the call; the tool's message repeats it.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Arguments is a JSON object.
	Arguments string `json:"arguments"`
}

// ToolResult is what a tool gave, to be handed to the model.
type ToolResult struct {
	Parts   []Part `json:"parts,omitempty"`
	IsError bool   `json:"is_error,omitempty"`
}
