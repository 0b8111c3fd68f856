// Command parrot is a provider for tests that repeats the last message.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

type config struct {
	Suffix string `config:"suffix" default:"!" doc:"the end of each reply"`
}

type parrot struct {
	config config
	env    sdk.Env
}

func main() {
	p := &parrot{}
	llm.Serve(sdk.Info{
		Name: "llm-parrot", Version: "1.2.3", Description: "Repeats the last message.",
		Capabilities: []string{"streaming"}, Config: &p.config,
	}, p)
}

func (p *parrot) Configure(_ context.Context, env sdk.Env) error {
	p.env = env
	return nil
}

// Stop creates a file, so that a test can check that it was called.
func (p *parrot) Stop(context.Context) error {
	if p.env.DataDir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(p.env.DataDir, "stopped"), nil, 0o600)
}

func (p *parrot) ListModels(context.Context) ([]llm.Model, error) {
	return []llm.Model{{ID: "parrot"}}, nil
}

func (p *parrot) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	text := req.Messages[len(req.Messages)-1].Text()
	slog.InfoContext(ctx, "repeating", slog.Int("bytes", len(text)), slog.Group("env", slog.String("label", p.env.Label)))
	switch text {
	case "panic":
		panic("secret inside")
	case "log":
		slog.WarnContext(ctx, "long", slog.String("text", strings.Repeat("é", 100_000)))
		log.Print("from package log")
	}
	if err := out.Send(llm.Delta{Text: text + p.config.Suffix}); err != nil {
		return nil, err
	}
	return &llm.Finish{Reason: llm.FinishStop}, nil
}
