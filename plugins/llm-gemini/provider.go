package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/genai"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// config is the stanza's config block.
type config struct {
	BaseURL string            `config:"base_url" default:"https://generativelanguage.googleapis.com" doc:"where the API is"`
	APIKey  string            `config:"api_key,secret" doc:"the API key"`
	Headers map[string]string `config:"headers,secret" doc:"more headers to send with each request"`
	Timeout time.Duration     `config:"timeout" default:"60s" doc:"how long to wait for the first of an answer"`
	Models  []string          `config:"models" doc:"the models to list, instead of asking the server for them"`
}

// provider implements llm.Provider. It is usable once Configure has returned nil.
type provider struct {
	config     config
	server     *remote.Server
	models     *remote.Models
	client     *genai.Client
	signatures signatures
}

func newProvider() *provider { return &provider{models: remote.NewModels()} }

// Configure checks the config. It asks the server nothing, so that a provider
// which is down keeps nobody from starting.
func (p *provider) Configure(ctx context.Context, _ sdk.Env) error {
	c := &p.config
	c.APIKey = strings.TrimSpace(c.APIKey) // keys that were read from a file end in a newline
	server, err := remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: "https://generativelanguage.googleapis.com", APIKey: c.APIKey,
		Genuine: "googleapis.com", KeyName: "GEMINI_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
	})
	if err != nil {
		return err
	}
	key := c.APIKey
	if key == "" {
		key = "none" // the SDK wants one
	}
	p.server = server
	p.client, err = genai.NewClient(ctx, &genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI, HTTPClient: server.Client(),
		HTTPOptions: genai.HTTPOptions{BaseURL: server.URL},
	})
	return err
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	return p.models.List(ctx, p.config.Models, p.fetchModels)
}

func (p *provider) fetchModels(ctx context.Context) ([]llm.Model, error) {
	ctx, w := p.server.Wait(ctx)
	defer w.Close()
	models := []llm.Model{}
	for m, err := range p.client.Models.All(ctx) {
		if err != nil {
			return nil, p.failed(ctx, err)
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
