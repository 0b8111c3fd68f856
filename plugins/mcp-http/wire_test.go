package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// overWire is the transport as the host has it, configured from plugins.hcl's words.
func overWire(t *testing.T, config string) *mcptransport.Client {
	t.Helper()
	tr := &transport{}
	if _, err := plugin.SchemaOf(&tr.settings); err != nil {
		t.Fatal(err)
	}
	if err := plugin.Decode([]byte(config), &tr.settings); err != nil {
		t.Fatal(err)
	}
	if err := tr.Configure(t.Context(), sdk.Env{}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "mcp") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(plugin.ServerOptions()...)
	mcptransport.Register(s, tr)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	cc, err := grpc.NewClient("unix:"+socket, append(plugin.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return mcptransport.NewClient(cc)
}

// The host gets the whole: sessions, refusals with their kind and place, an end.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began, ended := make(chan string, 1), make(chan string, 1)
	server := everything(began, ended)
	deleted := make(chan bool, 10)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if r.Method == http.MethodDelete {
			deleted <- true
		}
	}))
	t.Cleanup(s.Close)
	client := overWire(t, `{"allow":["127.0.0.1"]}`)

	var bad *sdk.ConfigError
	err := client.CheckConfig(ctx, config(t, s.URL, map[string]string{"Host": "x"}))
	if !errors.As(err, &bad) || strings.Join(bad.Path, ".") != "headers.Host" {
		t.Errorf("CheckConfig: %v", err)
	}
	_, err = client.Connect(ctx, mcptransport.Open{Slug: "s", Config: config(t, "http://10.0.0.1/", nil)})
	if e := sdk.AsError(err); e.Code == sdk.CodeInternal || !strings.Contains(e.Message, "private address") {
		t.Errorf("Connect: %v", err)
	}
	c, err := client.Connect(ctx, mcptransport.Open{Slug: "s", Config: config(t, s.URL, nil)})
	if err != nil {
		t.Fatal(err)
	}
	h := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, nil)
	session, err := h.Connect(ctx, &sdkTransport{c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: input{Text: strings.Repeat("x", 3<<20)}})
	if err != nil || len(r.Content[0].(*mcp.TextContent).Text) != 3<<20 {
		t.Errorf("echo: %v", err)
	}
	_ = session.Close()
	if why := exit(t, c); !strings.Contains(why, "closed") {
		t.Errorf("exit: %s", why)
	}
	select {
	case <-deleted:
	case <-time.After(patience):
		t.Error("the session was not ended")
	}
}
