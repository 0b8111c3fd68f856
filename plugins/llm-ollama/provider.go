package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// config is the stanza's config block.
type config struct {
	BaseURL   string            `config:"base_url" default:"http://localhost:11434" doc:"where Ollama is"`
	APIKey    string            `config:"api_key,secret" doc:"the key of ollama.com or of a proxy; Ollama itself wants none"`
	Headers   map[string]string `config:"headers,secret" doc:"more headers to send with each request"`
	Timeout   time.Duration     `config:"timeout" default:"5m" doc:"how long to wait for the first of an answer; a model may have to be loaded"`
	KeepAlive string            `config:"keep_alive" doc:"how long a model stays loaded: 10m, or -1 for ever; Ollama's default without"`
	NumCtx    int               `config:"num_ctx" default:"0" doc:"the context window to load a model with, in tokens; Ollama's default when 0"`
	Models    []string          `config:"models" doc:"the models to list, instead of asking the server for them"`
}

// provider implements llm.Provider. It is usable once Configure has returned nil.
type provider struct {
	config config
	server *remote.Server
	models *remote.Models
}

func newProvider() *provider { return &provider{models: remote.NewModels()} }

// Configure checks the config. It asks the server nothing, so that a provider
// which is down keeps nobody from starting.
func (p *provider) Configure(context.Context, sdk.Env) (err error) {
	c := &p.config
	c.APIKey = strings.TrimSpace(c.APIKey) // keys that were read from a file end in a newline
	if c.NumCtx < 0 {
		return &sdk.ConfigError{Path: []string{"num_ctx"}, Summary: "must not be negative"}
	}
	p.server, err = remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: "http://localhost:11434", APIKey: c.APIKey,
		Genuine: "ollama.com", KeyName: "OLLAMA_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
	})
	return err
}

// request sends one; its error is an *sdk.Error.
func (p *provider) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, remote.Invalid("the request can't be written as JSON: %v", err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.server.URL+path, in)
	if err != nil {
		return nil, p.server.Failed(ctx, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if p.config.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+p.config.APIKey)
	}
	resp, err := p.server.Client().Do(req)
	if err != nil {
		return nil, p.server.Failed(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var said struct{ Error string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&said) // a proxy's page is none
	return nil, p.server.Refused(remote.Refusal{Status: resp.StatusCode, Message: said.Error, RetryAfter: remote.RetryAfter(resp.Header)})
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	return p.models.List(ctx, p.config.Models, p.fetchModels)
}

// atOnce is how many models Ollama is asked about at once.
const atOnce = 4

func (p *provider) fetchModels(ctx context.Context) ([]llm.Model, error) {
	ctx, w := p.server.Wait(ctx)
	defer w.Close()
	var tags struct{ Models []struct{ Name string } }
	if err := p.ask(ctx, http.MethodGet, "/api/tags", nil, &tags); err != nil {
		return nil, err
	}
	models := make([]llm.Model, len(tags.Models))
	room := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, t := range tags.Models {
		models[i].ID = t.Name
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			p.show(ctx, &models[i])
		})
	}
	wg.Wait()
	return models, nil
}

func (p *provider) ask(ctx context.Context, method, path string, body, into any) error {
	resp, err := p.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 32<<20)).Decode(into); err != nil {
		return p.server.Failed(ctx, err)
	}
	return nil
}

// show adds what is known of a model. One that can't be asked about is listed all
// the same.
func (p *provider) show(ctx context.Context, m *llm.Model) {
	var shown struct {
		Capabilities []string       `json:"capabilities"`
		ModelInfo    map[string]any `json:"model_info"`
	}
	if p.ask(ctx, http.MethodPost, "/api/show", map[string]string{"model": m.ID}, &shown) != nil {
		return
	}
	words := map[string]string{"tools": "tools", "vision": "images", "thinking": "reasoning"}
	for _, c := range shown.Capabilities {
		if word := words[c]; word != "" {
			m.Capabilities = append(m.Capabilities, word)
		}
	}
	for name, value := range shown.ModelInfo {
		if n, ok := value.(float64); ok && strings.HasSuffix(name, ".context_length") {
			m.ContextWindow = int64(n)
		}
	}
	if p.config.NumCtx > 0 {
		m.ContextWindow = int64(p.config.NumCtx)
	}
}
