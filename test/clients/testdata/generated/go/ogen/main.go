// Command ogen calls a server with the client that ogen generates from the server's OpenAPI document:
// ogen URL USERNAME PASSWORD.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/go-faster/jx"

	"github.com/agentarea/agentarea/test/clients/testdata/generated/go/ogen/client"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

// token authenticates requests.
type token string

// Bearer implements client.SecuritySource.
func (t token) Bearer(context.Context, client.OperationName) (client.Bearer, error) {
	return client.Bearer{Token: string(t)}, nil
}

func run(ctx context.Context, url, username, password string) error {
	anonymous, err := client.NewClient(url, token(""))
	if err != nil {
		return err
	}
	login, err := anonymous.Login(ctx, &client.Credentials{Username: username, Password: password})
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	tokens, ok := login.(*client.Tokens)
	if !ok {
		return fmt.Errorf("login: got %T %+v", login, login)
	}
	c, err := client.NewClient(url, token(tokens.AccessToken))
	if err != nil {
		return err
	}
	made, err := c.CreateAgent(ctx, &client.AgentRequest{
		Name: "made by ogen", Type: "chat",
		Config: client.NewOptAgentRequestConfig(client.AgentRequestConfig{"model": jx.Raw(`"echo"`)}),
	}, client.CreateAgentParams{})
	if err != nil {
		return fmt.Errorf("create the agent: %w", err)
	}
	agent, ok := made.(*client.AgentHeaders)
	if !ok {
		return fmt.Errorf("create the agent: got %T %+v", made, made)
	}
	id := agent.Response.ID
	answer, err := c.Chat(ctx, &client.ChatRequest{Message: "Good day"}, client.ChatParams{AgentID: id})
	if err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	if reply, ok := answer.(*client.ChatReplyHeaders); !ok || reply.Response.Message != "Good day" {
		return fmt.Errorf("chat: got %T %+v", answer, answer)
	}
	if err := stream(ctx, c, id); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	list, err := c.ListAgents(ctx, client.ListAgentsParams{Limit: client.NewOptInt64(1)})
	if err != nil {
		return fmt.Errorf("list the agents: %w", err)
	}
	if agents, ok := list.(*client.AgentList); !ok || len(agents.Agents) != 1 {
		return fmt.Errorf("list the agents: got %T %+v", list, list)
	}
	none, err := c.GetRun(ctx, client.GetRunParams{RunID: "run-none"})
	if err != nil {
		return fmt.Errorf("get a run that does not exist: %w", err)
	}
	if missing, ok := none.(*client.GetRunNotFound); !ok || missing.Error.Code != "NOT_FOUND" ||
		missing.Error.RequestID == "" {
		return fmt.Errorf("get a run that does not exist: got %T %+v", none, none)
	}
	deleted, err := c.DeleteAgent(ctx, client.DeleteAgentParams{AgentID: id})
	if err != nil {
		return fmt.Errorf("delete the agent: %w", err)
	}
	if _, ok := deleted.(*client.DeleteAgentNoContent); !ok {
		return fmt.Errorf("delete the agent: got %T %+v", deleted, deleted)
	}
	return nil
}

// stream reads the events of a turn.
func stream(ctx context.Context, c *client.Client, agent string) error {
	r, err := c.Chat(ctx, &client.ChatRequest{Message: "Good day", Stream: client.NewOptBool(true)},
		client.ChatParams{AgentID: agent})
	if err != nil {
		return err
	}
	raw, ok := r.(*client.ChatOKRawTextEventStream)
	if !ok {
		return fmt.Errorf("got %T %+v", r, r)
	}
	defer raw.Response.Body.Close()
	var text string
	for lines := bufio.NewScanner(raw.Response.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event struct{ Type, Content string }
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return err
		}
		text += event.Content
		if event.Type == "end" && text == "Good day" {
			return nil
		}
	}
	return fmt.Errorf("the stream ended early, after the text %q", text)
}
