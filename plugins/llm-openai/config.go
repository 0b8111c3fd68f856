package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// config is the config block in plugins.hcl.
type config struct {
	BaseURL       string            `config:"base_url" default:"https://api.openai.com/v1" doc:"URL of the API; usually ends in /v1"`
	APIKey        string            `config:"api_key,secret" doc:"API key; omit it for a server that requires none"`
	Organization  string            `config:"organization" doc:"OpenAI organization to bill, for a key with several"`
	Project       string            `config:"project" doc:"OpenAI project to bill, for a key with several"`
	Headers       map[string]string `config:"headers,secret" doc:"additional headers of each request"`
	Timeout       time.Duration     `config:"timeout" default:"60s" doc:"how long each attempt waits for the first byte of a streamed answer"`
	AnswerTimeout time.Duration     `config:"answer_timeout" default:"5m" doc:"how long each attempt waits for an answer that is not streamed"`
	StallTimeout  time.Duration     `config:"stall_timeout" default:"5m" doc:"how long the server may send nothing in the middle of an answer; 0s sets no limit"`
	StreamOptions bool              `config:"stream_options" default:"true" doc:"whether streamed requests ask for token counts with stream_options; set it to false if the server rejects that"`
	MaxRetries    int               `config:"max_retries" default:"0" doc:"how many times the plugin retries after 408, 409, 429, 5xx or a connection error, in addition to the server's retries"`
	Models        []string          `config:"models" doc:"models to list instead of the server's list"`
}

// maxRetryDelay is the longest Retry-After of a 429 response that the plugin waits for. The
// caller decides about a longer one.
const maxRetryDelay = 30 * time.Second

// provider implements llm.Provider. It can be used after Configure has returned nil.
type provider struct {
	config config
	// completions and list are services of the SDK. The SDK's client is not used, because
	// it reads OPENAI_API_KEY from the environment whatever server base_url names, and
	// because the linker would keep most of the SDK.
	completions openai.ChatCompletionService
	list        openai.ModelService
	server      *remote.Server
	// host is the server's name in error messages.
	host string
	// isOpenAI is true for OpenAI's own server.
	isOpenAI bool
	// noStreamOptions is set when the server has rejected stream_options.
	noStreamOptions atomic.Bool
	models          *remote.Models
}

func newProvider() *provider {
	return &provider{models: remote.NewModels()}
}

// Configure checks the config and creates the clients. It sends no request, so that the
// plugin can start while the provider is down.
func (p *provider) Configure(context.Context, sdk.Env) error {
	c := &p.config
	// Keys that are read from a file may end in a newline.
	c.APIKey = strings.TrimSpace(c.APIKey)
	server, err := remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: `https://api.openai.com/v1" or "http://localhost:11434/v1`, APIKey: c.APIKey,
		OfficialHost: "api.openai.com", KeyName: "OPENAI_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
		StallTimeout: c.StallTimeout,
	})
	if err = errors.Join(append(p.check(), err)...); err != nil {
		return err
	}
	p.server, p.host, p.isOpenAI = server, server.Host, server.Official
	opts := p.options()
	p.completions = openai.NewChatCompletionService(opts...)
	p.list = openai.NewModelService(opts...)
	return nil
}

// options returns the SDK options of the config.
func (p *provider) options() []option.RequestOption {
	c := &p.config
	opts := []option.RequestOption{
		option.WithBaseURL(p.server.URL),
		option.WithHTTPClient(p.server.Client()),
		option.WithMaxRetries(c.MaxRetries),
		option.WithMaxRetryDelay(maxRetryDelay),
	}
	if c.APIKey != "" {
		opts = append(opts, option.WithAPIKey(c.APIKey))
	}
	if c.Organization != "" {
		opts = append(opts, option.WithOrganization(c.Organization))
	}
	if c.Project != "" {
		opts = append(opts, option.WithProject(c.Project))
	}
	return opts
}

// check returns an error for each invalid attribute that remote.New does not check.
func (p *provider) check() []error {
	c := &p.config
	var errs []error
	invalid := func(summary, detail, name string) {
		errs = append(errs, &sdk.ConfigError{Path: []string{name}, Summary: summary, Detail: detail})
	}
	if c.AnswerTimeout <= 0 {
		invalid("must be longer than 0", `Use a duration such as "5m"`, "answer_timeout")
	}
	if c.MaxRetries < 0 || c.MaxRetries > 10 {
		invalid("must be from 0 to 10", "2 means at most three attempts", "max_retries")
	}
	return errs
}
