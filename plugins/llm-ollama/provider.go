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

// config is the config block in plugins.hcl.
type config struct {
	BaseURL      string            `config:"base_url" default:"http://localhost:11434" doc:"URL of Ollama"`
	APIKey       string            `config:"api_key,secret" doc:"API key of ollama.com or of a proxy; a local Ollama requires none"`
	Headers      map[string]string `config:"headers,secret" doc:"additional headers of each request"`
	Timeout      time.Duration     `config:"timeout" default:"5m" doc:"how long to wait for the first line of an answer; Ollama may have to load the model first"`
	StallTimeout time.Duration     `config:"stall_timeout" default:"5m" doc:"how long the server may send nothing in the middle of an answer; 0s sets no limit"`
	KeepAlive    string            `config:"keep_alive" doc:"how long a model stays loaded, such as 10m, or -1 for no limit; default: Ollama's"`
	NumCtx       int               `config:"num_ctx" default:"0" doc:"context window that models are loaded with, in tokens; 0 for Ollama's default"`
	Models       []string          `config:"models" doc:"models to list instead of the server's list"`
}

// provider implements llm.Provider. It can be used after Configure has returned nil.
type provider struct {
	config config
	server *remote.Server
	models *remote.Models
}

func newProvider() *provider { return &provider{models: remote.NewModels()} }

// Configure checks the config. It sends no request, so that the plugin can start while
// Ollama is down.
func (p *provider) Configure(context.Context, sdk.Env) (err error) {
	c := &p.config
	c.APIKey = strings.TrimSpace(c.APIKey) // keys that are read from a file may end in a newline
	if c.NumCtx < 0 {
		return &sdk.ConfigError{Path: []string{"num_ctx"}, Summary: "must not be negative"}
	}
	p.server, err = remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: "http://localhost:11434", APIKey: c.APIKey,
		OfficialHost: "ollama.com", KeyName: "OLLAMA_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
		StallTimeout: c.StallTimeout,
	})
	return err
}

// request sends a request and returns a response with status 200, or an *sdk.Error.
func (p *provider) request(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, remote.Invalid("the request cannot be encoded as JSON: %v", err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.server.URL+path, in)
	if err != nil {
		return nil, p.server.TransportError(ctx, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if p.config.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+p.config.APIKey)
	}
	resp, err := p.server.Client().Do(req)
	if err != nil {
		return nil, p.server.TransportError(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var failure struct{ Error string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&failure) // a proxy may respond with a web page
	return nil, p.server.ResponseError(remote.ErrorResponse{
		Status: resp.StatusCode, Message: failure.Error, RetryAfter: remote.RetryAfter(resp.Header),
	})
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	return p.models.List(ctx, p.config.Models, p.fetchModels)
}

// maxConcurrentShows is the maximum number of concurrent /api/show requests.
const maxConcurrentShows = 4

// fetchModels requests the list of models and the details of each model.
func (p *provider) fetchModels(ctx context.Context) ([]llm.Model, error) {
	ctx, w := p.server.WithStartTimeout(ctx)
	defer w.Close()
	var tags struct{ Models []struct{ Name string } }
	if err := p.requestJSON(ctx, http.MethodGet, "/api/tags", nil, &tags); err != nil {
		return nil, err
	}
	models := make([]llm.Model, len(tags.Models))
	slots := make(chan struct{}, maxConcurrentShows)
	var wg sync.WaitGroup
	for i, t := range tags.Models {
		models[i].ID = t.Name
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p.addDetails(ctx, &models[i])
		})
	}
	wg.Wait()
	return models, nil
}

// requestJSON sends a request and decodes the response into out.
func (p *provider) requestJSON(ctx context.Context, method, path string, body, out any) error {
	resp, err := p.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 32<<20)).Decode(out); err != nil {
		return p.server.TransportError(ctx, err)
	}
	return nil
}

// addDetails adds the capabilities and the context window of a model. A model without
// available details is listed, too.
func (p *provider) addDetails(ctx context.Context, m *llm.Model) {
	var details struct {
		Capabilities []string       `json:"capabilities"`
		ModelInfo    map[string]any `json:"model_info"`
	}
	if p.requestJSON(ctx, http.MethodPost, "/api/show", map[string]string{"model": m.ID}, &details) != nil {
		return
	}
	capabilities := map[string]string{"tools": "tools", "vision": "images", "thinking": "reasoning"}
	for _, c := range details.Capabilities {
		if capability := capabilities[c]; capability != "" {
			m.Capabilities = append(m.Capabilities, capability)
		}
	}
	for name, value := range details.ModelInfo {
		if n, ok := value.(float64); ok && strings.HasSuffix(name, ".context_length") {
			m.ContextWindow = int64(n)
		}
	}
	if p.config.NumCtx > 0 {
		m.ContextWindow = int64(p.config.NumCtx)
	}
}
