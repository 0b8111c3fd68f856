package main

import (
	"context"
	"encoding/json"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// transport implements mcptransport.Transport for MCP's streamable HTTP. It can be used
// after Configure has returned nil.
//
// It does not use the client transport of go-sdk, which decodes messages, so that large ids
// and unknown members are lost. That transport also opens the stream for the server's own
// messages only for go-sdk's client, and a single unreadable message ends its connection.
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

// Connect implements mcptransport.Transport. It fails immediately if nothing listens at the
// server's address.
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
