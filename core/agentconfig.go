package core

import (
	"encoding/json"
	"time"
)

// AgentConfig is the part of an agent's config that the server uses. The plugin of the agent
// type receives Raw and interprets the rest.
type AgentConfig struct {
	// Model is the model name, or empty.
	Model string
	// Timeout is the timeout of a run, or 0 if the config sets none.
	Timeout time.Duration
	// MCPServers are the slugs of the MCP servers whose tools the agent may use.
	MCPServers []string
	// Tools are the names and patterns of the tools that the agent may use. Nil allows all
	// tools of MCPServers, but no file tools.
	Tools []string
	// Raw is the complete config.
	Raw json.RawMessage
}

// ParseAgentConfig decodes the config of an agent. It fails with Invalid if raw is not a JSON
// object or its model is not a string.
//
// An agent type may use the other names for values of other types; ParseAgentConfig then leaves
// the field empty. It also leaves MCPServers empty if tools has another type, so that a
// restriction that the server does not understand allows nothing.
func ParseAgentConfig(raw json.RawMessage) (AgentConfig, error) {
	c := AgentConfig{Raw: raw}
	var fields struct {
		Model          json.RawMessage `json:"model"`
		TimeoutSeconds json.RawMessage `json:"timeout_seconds"`
		MCPServers     json.RawMessage `json:"mcp_servers"`
		Tools          json.RawMessage `json:"tools"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return c, Invalid("config", "Must be a JSON object")
	}
	if seconds, ok := decodeField[int64](fields.TimeoutSeconds); ok && seconds > 0 {
		c.Timeout = time.Duration(seconds) * time.Second
	}
	var ok bool
	if c.Tools, ok = decodeField[[]string](fields.Tools); ok {
		c.MCPServers, _ = decodeField[[]string](fields.MCPServers)
	}
	if c.Model, ok = decodeField[string](fields.Model); !ok {
		return c, Invalid("config.model", "Must be a string")
	}
	return c, nil
}

// decodeField decodes a field, which may be missing. It returns the zero value and false if
// the field has another type.
func decodeField[T any](raw json.RawMessage) (T, bool) {
	var value, zero T
	if len(raw) == 0 {
		return zero, true
	}
	if json.Unmarshal(raw, &value) != nil {
		return zero, false
	}
	return value, true
}
