// Command ogen calls a server with the client that ogen generates from the server's OpenAPI document:
// ogen URL USERNAME PASSWORD.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/go-faster/jx"

	"github.com/agentarea/agentarea/test/clients/generated/go/ogen/client"
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
	})
	if err != nil {
		return fmt.Errorf("create the agent: %w", err)
	}
	fmt.Printf("%T\n", made)
	return nil
}
