// Package llmpython tests the example plugin in Python.
package llmpython

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote/remotetest"
	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func parrotCommand(t *testing.T) plugintest.Command {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "/usr/bin/python3",
		"-c", "import grpc, google.protobuf").Run(); err != nil {
		testenv.Missing(t, "Python with grpcio", err)
	}
	path, err := filepath.Abs("llm-parrot")
	if err != nil {
		t.Fatal(err)
	}
	return plugintest.Command{
		Path: path, BadConfig: map[string]any{"pause": -1},
		Script: plugintest.Script{
			ToolPrompt: "tool", ParallelToolPrompt: "tools", LimitedPrompt: "limited", SlowPrompt: "slow",
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.LLM(t, parrotCommand(t))
}

// The plugin receives the W3C trace context of the call.
func TestTraceReachesPython(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	p := llm.NewClient(plugintest.Start(t, "llm", parrotCommand(t)).Conn)
	for want, ctx := range map[string]context.Context{
		"You said: none":      t.Context(),
		"You said: " + parent: metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent),
	} {
		var answer remotetest.Answer
		if _, err := p.Chat(ctx,
			&llm.Request{Model: "parrot", Messages: []sdk.Message{sdk.Text(sdk.RoleUser, "trace")}},
			&answer); err != nil || answer.Text != want {
			t.Errorf("got %q, %v, want %q", answer.Text, err, want)
		}
	}
}

// The host receives all fields of an error.
func TestErrorFromPython(t *testing.T) {
	t.Parallel()
	p := llm.NewClient(plugintest.Start(t, "llm", parrotCommand(t)).Conn)
	_, err := p.Chat(t.Context(),
		&llm.Request{Model: "parrot", Messages: []sdk.Message{sdk.Text(sdk.RoleUser, "limited")}}, nil)
	want := sdk.Error{
		Code: sdk.CodeRateLimited, Message: "too much talk",
		Retryable: true, RetryAfter: 2 * time.Second, ProviderStatus: 429,
	}
	if err == nil || *sdk.AsError(err) != want {
		t.Errorf("got %+v, want %+v", err, want)
	}
}
