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

// newGRPCClient returns the transport as the host uses it, with the given config from
// plugins.hcl.
func newGRPCClient(t *testing.T, config string) *mcptransport.Client {
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
	dir, err := os.MkdirTemp("", "mcp") // the path of a socket must be short
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
	cc, err := grpc.NewClient("unix:"+socket,
		append(plugin.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return mcptransport.NewClient(cc)
}

// A host gets everything through gRPC: sessions, config errors with their path, and the
// exit.
func TestGRPC(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	started, ended := make(chan string, 1), make(chan string, 1)
	server := newTestServer(started, ended)
	deleted := make(chan bool, 10)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if r.Method == http.MethodDelete {
			deleted <- true
		}
	}))
	t.Cleanup(s.Close)
	client := newGRPCClient(t, `{"allow":["127.0.0.1"]}`)

	var configErr *sdk.ConfigError
	err := client.CheckConfig(ctx, config(t, s.URL, map[string]string{"Host": "x"}))
	if !errors.As(err, &configErr) || strings.Join(configErr.Path, ".") != "headers.Host" {
		t.Errorf("CheckConfig() = %v, want an error at headers.Host", err)
	}
	_, err = client.Connect(ctx, mcptransport.Open{Slug: "s", Config: config(t, "http://10.0.0.1/", nil)})
	if e := sdk.AsError(err); e.Code == sdk.CodeInternal || !strings.Contains(e.Message, "private address") {
		t.Errorf("Connect() to a private address = %v", err)
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
	if reason := waitExit(t, c); !strings.Contains(reason, "closed") {
		t.Errorf("exit reason = %s", reason)
	}
	select {
	case <-deleted:
	case <-time.After(testTimeout):
		t.Error("Close did not delete the session")
	}
}
