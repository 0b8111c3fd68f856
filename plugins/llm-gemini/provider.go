package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/genai"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// config is the config block in plugins.hcl.
type config struct {
	BaseURL      string            `config:"base_url" default:"https://generativelanguage.googleapis.com" doc:"URL of the API"`
	APIKey       string            `config:"api_key,secret" doc:"API key"`
	Headers      map[string]string `config:"headers,secret" doc:"additional headers of each request"`
	Timeout      time.Duration     `config:"timeout" default:"60s" doc:"how long to wait for the first event of an answer"`
	StallTimeout time.Duration     `config:"stall_timeout" default:"5m" doc:"how long the server may send nothing in the middle of an answer; 0s sets no limit"`
	Models       []string          `config:"models" doc:"models to list instead of the server's list"`
}

// provider implements llm.Provider. It can be used after Configure has returned nil.
type provider struct {
	config     config
	server     *remote.Server
	models     *remote.Models
	client     *genai.Client
	signatures signatures
}

func newProvider() *provider { return &provider{models: remote.NewModels()} }

// Configure checks the config and creates the client. It sends no request, so that the
// plugin can start while the provider is down.
func (p *provider) Configure(ctx context.Context, _ sdk.Env) error {
	c := &p.config
	c.APIKey = strings.TrimSpace(c.APIKey) // keys that are read from a file may end in a newline
	server, err := remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: "https://generativelanguage.googleapis.com", APIKey: c.APIKey,
		OfficialHost: "googleapis.com", KeyName: "GEMINI_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
		StallTimeout: c.StallTimeout,
	})
	if err != nil {
		return err
	}
	p.server = server
	p.client, err = genai.NewClient(ctx, &genai.ClientConfig{
		APIKey:  cmp.Or(c.APIKey, "none"), // the SDK requires a key
		Backend: genai.BackendGeminiAPI, HTTPClient: server.Client(),
		HTTPOptions: genai.HTTPOptions{BaseURL: server.URL},
	})
	return err
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	return p.models.List(ctx, p.config.Models, p.fetchModels)
}

// fetchModels requests the list of models.
func (p *provider) fetchModels(ctx context.Context) ([]llm.Model, error) {
	ctx, w := p.server.WithStartTimeout(ctx)
	defer w.Close()
	models := []llm.Model{}
	for m, err := range p.client.Models.All(ctx) {
		if err != nil {
			return nil, p.wrapProviderError(ctx, err)
		}
		if !slices.Contains(m.SupportedActions, "generateContent") {
			continue
		}
		capabilities := []string{"tools", "images"}
		if m.Thinking {
			capabilities = append(capabilities, "reasoning")
		}
		models = append(models, llm.Model{
			ID: strings.TrimPrefix(m.Name, "models/"), DisplayName: m.DisplayName, ContextWindow: int64(m.InputTokenLimit),
			MaxOutputTokens: int64(m.OutputTokenLimit), Capabilities: capabilities,
		})
	}
	return models, nil
}
