package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// config is the stanza's config block.
type config struct {
	BaseURL       string            `config:"base_url" default:"https://api.openai.com/v1" doc:"where the API is; usually ends in /v1"`
	APIKey        string            `config:"api_key,secret" doc:"the API key; leave it out for a server that wants none"`
	Organization  string            `config:"organization" doc:"the OpenAI organization to bill, if the key has several"`
	Project       string            `config:"project" doc:"the OpenAI project to bill, if the key has several"`
	Headers       map[string]string `config:"headers,secret" doc:"more headers to send with each request"`
	Timeout       time.Duration     `config:"timeout" default:"60s" doc:"how long to wait for the first byte of a streamed answer, in each try"`
	AnswerTimeout time.Duration     `config:"answer_timeout" default:"5m" doc:"how long to wait for an answer that is not streamed, in each try"`
	MaxRetries    int               `config:"max_retries" default:"0" doc:"how often to try again here, after 408, 409, 429, 5xx or a failed connection, besides the server's own retries"`
	Models        []string          `config:"models" doc:"the models to list, instead of asking the server for them"`
}

// longestRetryAfter is how long a 429 may ask to wait for being tried again here;
// a longer wait is the caller's to decide.
const longestRetryAfter = 30 * time.Second

// provider implements llm.Provider. It is usable once Configure has returned nil.
type provider struct {
	config config
	// Two services of the SDK, not its whole client: that one takes OPENAI_API_KEY
	// from the environment to whatever server base_url names, and the linker keeps
	// all that it reaches, which is most of the SDK.
	completions openai.ChatCompletionService
	list        openai.ModelService
	server      *remote.Server
	// host names the server in errors.
	host string
	// genuine says that the server is OpenAI's own.
	genuine bool
	models  *remote.Models
}

func newProvider() *provider {
	return &provider{models: remote.NewModels()}
}

// Configure checks the config and makes the client. It asks the server nothing,
// so that a provider which is down keeps nobody from starting.
func (p *provider) Configure(context.Context, sdk.Env) error {
	c := &p.config
	// Keys that were read from a file end in a newline.
	c.APIKey = strings.TrimSpace(c.APIKey)
	server, err := remote.New(remote.Settings{
		BaseURL: c.BaseURL, Example: `https://api.openai.com/v1" or "http://localhost:11434/v1`, APIKey: c.APIKey,
		Genuine: "api.openai.com", KeyName: "OPENAI_API_KEY", Headers: c.Headers, Timeout: c.Timeout,
	})
	if err = errors.Join(append(p.check(), err)...); err != nil {
		return err
	}
	p.server, p.host, p.genuine = server, server.Host, server.Genuine
	opts := p.options()
	p.completions = openai.NewChatCompletionService(opts...)
	p.list = openai.NewModelService(opts...)
	return nil
}

func (p *provider) options() []option.RequestOption {
	c := &p.config
	opts := []option.RequestOption{
		option.WithBaseURL(p.server.URL),
		option.WithHTTPClient(p.server.Client()),
		option.WithMaxRetries(c.MaxRetries),
		option.WithMaxRetryDelay(longestRetryAfter),
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

// check finds what is wrong with the config besides what every server's has.
func (p *provider) check() []error {
	c := &p.config
	var errs []error
	bad := func(summary, detail, name string) {
		errs = append(errs, &sdk.ConfigError{Path: []string{name}, Summary: summary, Detail: detail})
	}
	if c.AnswerTimeout <= 0 {
		bad("must be longer than 0", `Write a duration, such as "5m"`, "answer_timeout")
	}
	if c.MaxRetries < 0 || c.MaxRetries > 10 {
		bad("must be from 0 to 10", "2 means three tries at most", "max_retries")
	}
	return errs
}
