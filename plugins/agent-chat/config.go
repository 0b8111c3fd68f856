package main

import (
	_ "embed"
	"encoding/json"

	"github.com/agentarea/agentarea/sdk"
)

//go:embed schema.json
var schema []byte

// config is an agent's, valid by the schema.
type config struct {
	Model        string   `json:"model"`
	SystemPrompt string   `json:"system_prompt"`
	Temperature  *float64 `json:"temperature"`
	MaxTokens    *whole   `json:"max_tokens"`
	TopP         *float64 `json:"top_p"`
	Stop         []string `json:"stop"`
	// MCPServers and Tools are the host's to apply; here they only tell whether
	// there may be tools at all.
	MCPServers      []string `json:"mcp_servers"`
	Tools           []string `json:"tools"`
	MaxSteps        whole    `json:"max_steps"`
	HistoryMessages whole    `json:"history_messages"`
	ContextTokens   whole    `json:"context_tokens"`
}

// whole is an integer of JSON Schema, which may be written 2e3 or 10.0.
type whole int64

// UnmarshalJSON implements json.Unmarshaler.
func (w *whole) UnmarshalJSON(data []byte) error {
	var f float64
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*w = whole(f)
	return nil
}

func readConfig(data json.RawMessage) (*config, error) {
	c := &config{MaxSteps: 10, HistoryMessages: 100, ContextTokens: 32_000}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the agent's config can't be read: " + err.Error()}
	}
	return c, nil
}

// budget is how many tokens a prompt may have: the context less the answer,
// but never less than a quarter of it, for max_tokens is only a bound.
func (c *config) budget() int64 {
	if c.MaxTokens == nil {
		return int64(c.ContextTokens)
	}
	return int64(max(c.ContextTokens-*c.MaxTokens, c.ContextTokens/4))
}
