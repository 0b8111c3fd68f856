// Command agent-critic is an agent type for AgentArea that reviews its own answers. It drafts an
// answer, asks the model to criticize it, and rewrites it, until the model finds no fault or the
// maximum number of rounds is reached.
package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

func main() {
	agent.Serve(sdk.Info{
		Name: "agent-critic", Version: "1.0.0", Description: "Drafts, criticizes and rewrites its answers.",
	}, critic{})
}

type critic struct{}

type config struct {
	Model        string `json:"model"`
	SystemPrompt string `json:"system_prompt"`
	Rounds       int    `json:"rounds"`
}

// Schema implements agent.Type.
func (critic) Schema() json.RawMessage {
	return json.RawMessage(`{
  "type": "object",
  "additionalProperties": false,
  "required": ["model"],
  "properties": {
    "model": {"type": "string", "minLength": 1, "description": "The model to use: a name from GET /v1/models."},
    "system_prompt": {"type": "string", "description": "Instructions for the model, sent before the conversation."},
    "rounds": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2, "description": "Maximum number of rounds of criticism."}
  }
}`)
}

// noFault is the reply of the model if a draft needs no changes.
const noFault = "FINE"

// Run implements agent.Type. Its calls depend only on the run and on the host's replies, so that a
// run that is interrupted by a crash can be resumed.
func (critic) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
	c := config{Rounds: 2}
	if err := json.Unmarshal(run.Config, &c); err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the agent's config is not a JSON object"}
	}
	var conversation []sdk.Message
	if c.SystemPrompt != "" {
		conversation = append(conversation, sdk.Text(sdk.RoleSystem, c.SystemPrompt))
	}
	conversation = append(append(conversation, run.History...), run.Input)

	draft, err := ask(ctx, host, c.Model, conversation)
	if err != nil {
		return nil, err
	}
	for range c.Rounds {
		criticism, err := ask(ctx, host, c.Model, with(conversation, draft, sdk.Text(sdk.RoleUser,
			"Briefly list what is wrong or missing in this answer. If it needs no changes, reply only "+noFault+".")))
		if err != nil {
			return nil, err
		}
		if strings.Contains(criticism.Text(), noFault) {
			break
		}
		if draft, err = ask(ctx, host, c.Model, with(conversation, draft, sdk.Text(sdk.RoleUser,
			"Rewrite the answer and fix this: "+criticism.Text()))); err != nil {
			return nil, err
		}
	}
	return &draft, nil
}

// with returns the conversation followed by more messages. It does not modify the
// conversation.
func with(conversation []sdk.Message, more ...sdk.Message) []sdk.Message {
	return append(conversation[:len(conversation):len(conversation)], more...)
}

// ask returns the model's answer to the messages.
func ask(ctx context.Context, host agent.Host, model string, messages []sdk.Message) (sdk.Message, error) {
	answer, err := host.Complete(ctx, &agent.Completion{Model: model, Messages: messages})
	if err != nil {
		return sdk.Message{}, err
	}
	return answer.Message, nil
}
