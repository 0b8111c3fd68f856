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

// config is the config block in plugins.hcl.
type config struct {
	BaseURL      string            `config:"base_url" default:"https://api.anthropic.com" doc:"URL of the API"`
	APIKey       string            `config:"api_key,secret" doc:"API key"`
	Headers      map[string]string `config:"headers,secret" doc:"additional headers of each request"`
	Timeout      time.Duration     `config:"timeout" default:"60s" doc:"how long to wait for the first event of an answer"`
	StallTimeout time.Duration     `config:"stall_timeout" default:"5m" doc:"how long the server may send nothing in the middle of an answer; 0s sets no limit"`
	MaxTokens    int64             `config:"max_tokens" default:"4096" doc:"maximum number of tokens in an answer, for agents without max_tokens; the API requires a limit"`
	Models       []string          `config:"models" doc:"models to list instead of the server's list"`
}

// provider implements llm.Provider. It can be used after Configure has returned nil.
type provider struct {
	config   config
	server   *remote.Server
	models   *remote.Models
	messages anthropic.MessageService
	list     anthropic.ModelService
}

func newProvider() *provider { return &provider{models: remote.NewModels()} }

// Configure checks the config and creates the clients. It sends no request, so that the
// plugin can start while the provider is down.
func (p *provider) Configure(context.Context, sdk.Env) error {
	c := &p.config
	c.APIKey = strings.TrimSpace(c.APIKey) // keys that are read from a file may end in a newline
	server, err := remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: "https://api.anthropic.com", APIKey: c.APIKey,
		OfficialHost: "anthropic.com", KeyName: "ANTHROPIC_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
		StallTimeout: c.StallTimeout,
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
		option.WithMaxRetries(0), // the AgentArea server retries
	}
	if c.APIKey != "" {
		opts = append(opts, option.WithAPIKey(c.APIKey))
	}
	// The SDK's client is not used, because it reads keys from the environment.
	p.messages, p.list = anthropic.NewMessageService(opts...), anthropic.NewModelService(opts...)
	return nil
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	return p.models.List(ctx, p.config.Models, p.fetchModels)
}

// fetchModels requests the list of models.
func (p *provider) fetchModels(ctx context.Context) ([]llm.Model, error) {
	ctx, w := p.server.WithStartTimeout(ctx)
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
		return nil, p.wrapProviderError(ctx, err)
	}
	return models, nil
}
