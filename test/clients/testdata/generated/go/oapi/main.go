// Command oapi calls a server with the client that oapi-codegen generates from the server's OpenAPI document:
// oapi URL USERNAME PASSWORD.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/agentarea/agentarea/test/clients/testdata/generated/go/oapi/client"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, username, password string) error {
	anonymous, err := client.NewClientWithResponses(url)
	if err != nil {
		return err
	}
	login, err := anonymous.LoginWithResponse(ctx, client.Credentials{Username: username, Password: password})
	if err != nil || login.JSON200 == nil {
		return fmt.Errorf("login: %w: %s", err, login.Body)
	}
	c, err := client.NewClientWithResponses(url, client.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+login.JSON200.AccessToken)
			return nil
		}))
	if err != nil {
		return err
	}
	made, err := c.CreateAgentWithResponse(ctx, nil, client.AgentRequest{
		Name: "made by oapi-codegen", Type: "chat", Config: &map[string]any{"model": "echo"},
	})
	if err != nil || made.JSON201 == nil {
		return fmt.Errorf("create the agent: %w: %s", err, made.Body)
	}
	agent := made.JSON201.Id
	answer, err := c.ChatWithResponse(ctx, agent, nil, client.ChatRequest{Message: "Good day"})
	if err != nil || answer.JSON200 == nil || answer.JSON200.Message != "Good day" {
		return fmt.Errorf("chat: %w: %s", err, answer.Body)
	}
	if err := stream(ctx, c, agent); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	limit := int64(1)
	list, err := c.ListAgentsWithResponse(ctx, &client.ListAgentsParams{Limit: &limit})
	if err != nil || list.JSON200 == nil || len(list.JSON200.Agents) != 1 {
		return fmt.Errorf("list the agents: %w: %s", err, list.Body)
	}
	none, err := c.GetRunWithResponse(ctx, "run-none", nil)
	if err != nil || none.JSON404 == nil || none.JSON404.Error.Code != "NOT_FOUND" || none.JSON404.Error.RequestId == "" {
		return fmt.Errorf("get a run that does not exist: %w: %s", err, none.Body)
	}
	deleted, err := c.DeleteAgentWithResponse(ctx, agent, nil)
	if err != nil || deleted.StatusCode() != http.StatusNoContent {
		return fmt.Errorf("delete the agent: %w: %s", err, deleted.Body)
	}
	return nil
}

// stream reads the events of a turn.
func stream(ctx context.Context, c *client.ClientWithResponses, agent string) error {
	streamed := true
	r, err := c.ClientInterface.Chat(ctx, agent, nil, client.ChatRequest{Message: "Good day", Stream: &streamed})
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var text string
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var union client.RunEvent
		if err := json.Unmarshal([]byte(data), &union); err != nil {
			return err
		}
		event, err := union.ValueByDiscriminator()
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case client.TokenEvent:
			text += e.Content
		case client.ErrorEvent:
			return errors.New(e.Error.Message)
		case client.EndEvent:
			if text != "Good day" {
				return fmt.Errorf("got the answer %q", text)
			}
			return nil
		}
	}
	return fmt.Errorf("the stream ended early: %w", lines.Err())
}
