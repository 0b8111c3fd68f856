package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// transport implements mcptransport.Transport with TCP connections that have a message in each line.
type transport struct{ *faulty }

// CheckConfig implements mcptransport.Transport.
func (t *transport) CheckConfig(ctx context.Context, config json.RawMessage) error {
	address, err := addressOf(config)
	if err != nil || fault != "dials" {
		return err
	}
	c, err := dial(ctx, address)
	if err != nil {
		return &sdk.ConfigError{Path: []string{"address"}, Summary: "is not reachable"}
	}
	return c.Close()
}

func addressOf(config json.RawMessage) (string, error) {
	var target struct{ Address string }
	if err := json.Unmarshal(config, &target); err != nil || target.Address == "" {
		return "", &sdk.ConfigError{Path: []string{"address"}, Summary: "is missing"}
	}
	return target.Address, nil
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

// Connect implements mcptransport.Transport.
func (t *transport) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	leak()
	address, err := addressOf(o.Config)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, address)
	if err != nil {
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: err.Error()}
	}
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, mcptransport.MaxMessage)
	return &conn{c: c, lines: lines}, nil
}

// conn implements mcptransport.Conn.
type conn struct {
	c       net.Conn
	lines   *bufio.Scanner
	sending sync.Mutex
}

// Info implements mcptransport.Conn.
func (*conn) Info() mcptransport.Info { return mcptransport.Info{} }

// Send implements mcptransport.Conn.
func (c *conn) Send(_ context.Context, message []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if fault == "ascii" {
		message = []byte(strings.Map(func(r rune) rune {
			if r > 0x7f {
				return -1
			}
			return r
		}, string(message)))
	}
	_, err := c.c.Write(append(message, '\n'))
	return err
}

// Receive implements mcptransport.Conn.
func (c *conn) Receive(context.Context) (mcptransport.Frame, error) {
	if c.lines.Scan() {
		return mcptransport.Frame{Message: c.lines.Bytes()}, nil
	}
	return mcptransport.Frame{}, &mcptransport.Exit{Code: -1, Message: "the server closed the connection"}
}

// Close implements mcptransport.Conn.
func (c *conn) Close() error {
	if fault == "close-hangs" {
		select {}
	}
	_ = c.c.Close()
	return nil
}
