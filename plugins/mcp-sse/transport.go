package main

import (
	"context"
	"encoding/json"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// transport implements mcptransport.Transport for HTTP with SSE, the transport of MCP
// 2024-11-05. It can be used after Configure has returned nil.
//
// It does not use the client transport of go-sdk, which decodes messages, so that large ids
// and unknown members are lost. Also, a single message that is unreadable or too long ends
// its connection.
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

// Connect implements mcptransport.Transport. It opens the event stream and waits for the
// endpoint event.
func (t *transport) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	client, err := t.web.Open(o)
	if err != nil {
		return nil, err
	}
	return openConn(ctx, client)
}
