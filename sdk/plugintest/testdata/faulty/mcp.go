package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// transport implements mcptransport.Transport with TCP connections that have a message in each line.
type transport struct{ *faulty }

// CheckConfig implements mcptransport.Transport.
func (t *transport) CheckConfig(ctx context.Context, config json.RawMessage) error {
	server, err := serverOf(config)
	if err != nil || fault != "dials" && fault != "starts" {
		return err
	}
	c, err := server.connect(ctx)
	if err != nil {
		return &sdk.ConfigError{Path: []string{"address"}, Summary: "is not reachable"}
	}
	err = c.Close()
	_, _ = io.Copy(io.Discard, c) // the end of the program
	return err
}

// server is the config of a server: an address, or with the fault "starts" also a program.
type server struct {
	Address, Command string
	Args             []string
	Env              map[string]string
}

func serverOf(config json.RawMessage) (server, error) {
	var s server
	if err := json.Unmarshal(config, &s); err != nil || s.Address == "" && s.Command == "" {
		return s, &sdk.ConfigError{Path: []string{"address"}, Summary: "is missing"}
	}
	return s, nil
}

func (s server) connect(ctx context.Context) (io.ReadWriteCloser, error) {
	if s.Command == "" {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Address)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.Command, s.Args...)
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.WriteCloser
	}{stdout, stdin}, cmd.Start()
}

// Connect implements mcptransport.Transport.
func (t *transport) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	leak()
	server, err := serverOf(o.Config)
	if err != nil {
		return nil, err
	}
	c, err := server.connect(ctx)
	if err != nil {
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: err.Error()}
	}
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, mcptransport.MaxMessage)
	return &conn{c: c, lines: lines}, nil
}

// conn implements mcptransport.Conn.
type conn struct {
	c       io.ReadWriteCloser
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
