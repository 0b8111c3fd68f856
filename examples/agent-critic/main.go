// Command agent-critic is an agent type for AgentArea that looks at its own work:
// it drafts an answer, has the model find fault with it, and writes it anew, until
// there is nothing to find or the rounds are over.
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
		Name: "agent-critic", Version: "1.0.0", Description: "Drafts, criticises and rewrites its answers.",
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
    "model": {"type": "string", "minLength": 1, "description": "What GET /v1/models lists."},
    "system_prompt": {"type": "string", "description": "What the agent is told before the conversation."},
    "rounds": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2, "description": "How often a draft is criticised."}
  }
}`)
}

// satisfied is the critic's word for a draft without fault.
const satisfied = "FINE"

// Run implements agent.Type. It keeps no state of its own between the host's
// replies, so that a run that a crash has cut goes on where it was.
func (critic) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
	c := config{Rounds: 2}
	if err := json.Unmarshal(run.Config, &c); err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the agent's config is no JSON object"}
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
		remarks, err := ask(ctx, host, c.Model, with(conversation, draft, sdk.Text(sdk.RoleUser,
			"Find what is wrong or missing in this answer, in short. If there is nothing, say only "+satisfied+".")))
		if err != nil {
			return nil, err
		}
		if strings.Contains(remarks.Text(), satisfied) {
			break
		}
		if draft, err = ask(ctx, host, c.Model, with(conversation, draft, sdk.Text(sdk.RoleUser,
			"Write the answer anew, and mend this: "+remarks.Text()))); err != nil {
			return nil, err
		}
	}
	return &draft, nil
}

// with is the conversation and what follows, without changing it.
func with(conversation []sdk.Message, more ...sdk.Message) []sdk.Message {
	return append(conversation[:len(conversation):len(conversation)], more...)
}

func ask(ctx context.Context, host agent.Host, model string, messages []sdk.Message) (sdk.Message, error) {
	answer, err := host.Complete(ctx, &agent.Completion{Model: model, Messages: messages})
	if err != nil {
		return sdk.Message{}, err
	}
	return answer.Message, nil
}
