package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// mirrors is a transport whose servers echo every message.
type mirrors struct{}

func (mirrors) CheckConfig(_ context.Context, config json.RawMessage) error {
	if string(config) == "{}" {
		return &sdk.ConfigError{Path: []string{"command"}, Summary: "Missing"}
	}
	if string(config) == `{"plain":true}` {
		return errInternal
	}
	return nil
}

func (mirrors) Connect(_ context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	if o.Slug == "none" {
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "nobody there"}
	}
	if o.Slug == "plain" {
		return nil, errInternal
	}
	return &mirror{frames: make(chan []byte, 10), closed: make(chan struct{})}, nil
}

type mirror struct {
	frames chan []byte
	once   sync.Once
	closed chan struct{}
}

func (m *mirror) Info() mcptransport.Info { return mcptransport.Info{} }

func (m *mirror) Send(_ context.Context, message []byte) error {
	select {
	case m.frames <- message:
		return nil
	case <-m.closed:
		return errors.New("closed")
	}
}

func (m *mirror) Receive(context.Context) (mcptransport.Frame, error) {
	select {
	case f := <-m.frames:
		return mcptransport.Frame{Message: f}, nil
	case <-m.closed:
		return mcptransport.Frame{}, &mcptransport.Exit{Message: "closed"}
	}
}

func (m *mirror) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}
