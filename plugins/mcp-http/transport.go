package main

import (
	"context"
	"encoding/json"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// transport implements mcptransport.Transport for MCP's streamable HTTP. It is
// usable once Configure has returned nil.
//
// go-sdk's client transport is not used: it takes messages apart, so that large
// ids and unknown members are lost; it opens the stream for the server's own
// messages only for go-sdk's own client; and one message that it can't read ends
// the connection.
type transport struct {
	settings remote.Settings
	web      *remote.Web
}

// Configure implements sdk.Configurer.
func (t *transport) Configure(context.Context, sdk.Env) (err error) {
	t.web, err = remote.NewWeb(t.settings)
	return err
}

// CheckConfig implements mcptransport.Transport.
func (t *transport) CheckConfig(ctx context.Context, config json.RawMessage) error {
	return t.web.CheckConfig(ctx, config)
}

// Connect implements mcptransport.Transport. It says at once when nobody listens
// at the server's address.
func (t *transport) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	client, err := t.web.Open(o)
	if err != nil {
		return nil, err
	}
	if err := client.Reach(ctx); err != nil {
		return nil, err
	}
	return newConn(client), nil
}
