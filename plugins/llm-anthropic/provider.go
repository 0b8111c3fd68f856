package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// config is the stanza's config block.
type config struct {
	BaseURL   string            `config:"base_url" default:"https://api.anthropic.com" doc:"where the API is"`
	APIKey    string            `config:"api_key,secret" doc:"the API key"`
	Headers   map[string]string `config:"headers,secret" doc:"more headers to send with each request"`
	Timeout   time.Duration     `config:"timeout" default:"60s" doc:"how long to wait for the first of an answer"`
	MaxTokens int64             `config:"max_tokens" default:"4096" doc:"the longest answer, unless the agent says; the API wants one"`
	Models    []string          `config:"models" doc:"the models to list, instead of asking the server for them"`
}

// provider implements llm.Provider. It is usable once Configure has returned nil.
type provider struct {
	config   config
	server   *remote.Server
	models   *remote.Models
	messages anthropic.MessageService
	list     anthropic.ModelService
}

func newProvider() *provider { return &provider{models: remote.NewModels()} }

// Configure checks the config. It asks the server nothing, so that a provider
// which is down keeps nobody from starting.
func (p *provider) Configure(context.Context, sdk.Env) error {
	c := &p.config
	c.APIKey = strings.TrimSpace(c.APIKey) // keys that were read from a file end in a newline
	server, err := remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: "https://api.anthropic.com", APIKey: c.APIKey,
		Genuine: "anthropic.com", KeyName: "ANTHROPIC_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
	})
	if c.MaxTokens < 1 {
		err = errors.Join(err, &sdk.ConfigError{Path: []string{"max_tokens"}, Summary: "must be at least 1"})
	}
	if err != nil {
		return err
	}
	p.server = server
	opts := []option.RequestOption{
		option.WithBaseURL(server.URL), option.WithHTTPClient(server.Client()),
		option.WithMaxRetries(0), // the server of AgentArea tries again by itself
	}
	if c.APIKey != "" {
		opts = append(opts, option.WithAPIKey(c.APIKey))
	}
	// The services alone: the SDK's client would take keys from the environment.
	p.messages, p.list = anthropic.NewMessageService(opts...), anthropic.NewModelService(opts...)
	return nil
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	return p.models.List(ctx, p.config.Models, p.fetchModels)
}

func (p *provider) fetchModels(ctx context.Context) ([]llm.Model, error) {
	ctx, w := p.server.Wait(ctx)
	defer w.Close()
	pages := p.list.ListAutoPaging(ctx, anthropic.ModelListParams{Limit: anthropic.Int(100)})
	models := []llm.Model{}
	for pages.Next() {
		m := pages.Current()
		models = append(models, llm.Model{
			ID: m.ID, DisplayName: m.DisplayName, ContextWindow: m.MaxInputTokens, MaxOutputTokens: m.MaxTokens,
			Capabilities: []string{"tools", "images"},
		})
	}
	if err := pages.Err(); err != nil {
		return nil, p.failed(ctx, err)
	}
	return models, nil
}
