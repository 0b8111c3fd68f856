package main

import (
	_ "embed"
	"encoding/json"

	"github.com/agentarea/agentarea/sdk"
)

//go:embed schema.json
var schema []byte

// config is an agent's config, which the host has validated against the schema.
type config struct {
	Model        string       `json:"model"`
	SystemPrompt string       `json:"system_prompt"`
	Temperature  *float64     `json:"temperature"`
	MaxTokens    *jsonInteger `json:"max_tokens"`
	TopP         *float64     `json:"top_p"`
	Stop         []string     `json:"stop"`
	// The host applies MCPServers and Tools. This plugin only checks whether they are set,
	// to know whether to ask the host for tools.
	MCPServers      []string    `json:"mcp_servers"`
	Tools           []string    `json:"tools"`
	MaxSteps        jsonInteger `json:"max_steps"`
	HistoryMessages jsonInteger `json:"history_messages"`
	ContextTokens   jsonInteger `json:"context_tokens"`
}

// jsonInteger is an integer as JSON Schema defines it, which may be written as 2e3 or 10.0.
type jsonInteger int64

// UnmarshalJSON implements json.Unmarshaler.
func (i *jsonInteger) UnmarshalJSON(data []byte) error {
	var f float64
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*i = jsonInteger(f)
	return nil
}

// readConfig decodes an agent's config and applies the defaults.
func readConfig(data json.RawMessage) (*config, error) {
	c := &config{MaxSteps: 10, HistoryMessages: 100, ContextTokens: 32_000}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the agent's config is invalid: " + err.Error()}
	}
	return c, nil
}

// budget returns how many tokens a prompt may have: context_tokens minus max_tokens. It is
// at least a quarter of context_tokens, because max_tokens is only an upper bound of the
// answer.
func (c *config) budget() int64 {
	if c.MaxTokens == nil {
		return int64(c.ContextTokens)
	}
	return int64(max(c.ContextTokens-*c.MaxTokens, c.ContextTokens/4))
}
