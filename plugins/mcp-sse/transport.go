package main

import (
	"context"
	"encoding/json"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// transport implements mcptransport.Transport for HTTP with SSE, the transport of
// MCP 2024-11-05. It is usable once Configure has returned nil.
//
// go-sdk's client transport is not used: it takes messages apart, so that large
// ids and unknown members are lost, and one message that it can't read, or that
// is too long, ends the connection.
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

// Connect implements mcptransport.Transport. It opens the event stream, and waits
// for the address of the server's messages.
func (t *transport) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	client, err := t.web.Open(o)
	if err != nil {
		return nil, err
	}
	return open(ctx, client)
}
