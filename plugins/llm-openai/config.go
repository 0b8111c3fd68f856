package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"golang.org/x/net/http/httpguts"

	"github.com/agentarea/agentarea/sdk"
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
	// host names the server in errors.
	host string
	// genuine says that the server is OpenAI's own.
	genuine bool
	// redact blanks what is secret in the provider's words.
	redact *strings.Replacer
	models modelCache
}

func newProvider() *provider {
	return &provider{models: modelCache{turn: make(chan struct{}, 1)}}
}

// Configure checks the config and makes the client. It asks the server nothing,
// so that a provider which is down keeps nobody from starting.
func (p *provider) Configure(context.Context, sdk.Env) error {
	c := &p.config
	// Keys that were read from a file end in a newline.
	c.APIKey = strings.TrimSpace(c.APIKey)
	base, err := parseBaseURL(c.BaseURL)
	if err != nil {
		return err
	}
	p.host = base.Host
	p.genuine = isOpenAI(base.Hostname())
	if err := errors.Join(p.check()...); err != nil {
		return err
	}
	p.redact = redactor(c)
	opts := p.options(base.String())
	p.completions = openai.NewChatCompletionService(opts...)
	p.list = openai.NewModelService(opts...)
	return nil
}

func (p *provider) options(base string) []option.RequestOption {
	c := &p.config
	opts := []option.RequestOption{
		option.WithBaseURL(base),
		option.WithHTTPClient(&http.Client{Transport: transport()}),
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
	for name, value := range c.Headers {
		opts = append(opts, option.WithHeader(name, value))
	}
	return opts
}

// transport keeps a connection for each of many streams, where the default
// keeps two, and notices a peer that is gone by HTTP/2 pings.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       90 * time.Second,
		// A compressed stream arrives in lumps.
		DisableCompression: true,
	}
}

func parseBaseURL(raw string) (*url.URL, error) {
	bad := func(summary string) error {
		return &sdk.ConfigError{
			Path: []string{"base_url"}, Summary: summary,
			Detail: `Write where the API is, such as "https://api.openai.com/v1" or "http://localhost:11434/v1"`,
		}
	}
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil:
		return nil, bad("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, bad("must begin with http:// or https://")
	case u.Host == "":
		return nil, bad("names no host")
	case u.User != nil:
		return nil, bad("must not hold a user or password; use api_key or headers")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, bad("must not hold a query or fragment")
	}
	return u, nil
}

func isOpenAI(host string) bool {
	return host == "api.openai.com" || strings.HasSuffix(host, ".api.openai.com")
}

// check finds all that is wrong with the config but the base URL.
func (p *provider) check() []error {
	c := &p.config
	var errs []error
	bad := func(summary, detail string, path ...string) {
		errs = append(errs, &sdk.ConfigError{Path: path, Summary: summary, Detail: detail})
	}
	if p.genuine && c.APIKey == "" {
		bad("missing, and "+p.host+" wants one",
			`Set OPENAI_API_KEY and write api_key = env("OPENAI_API_KEY"), or disable the stanza with enabled = false, or name another server by base_url`, "api_key")
	}
	if !httpguts.ValidHeaderFieldValue(c.APIKey) {
		bad("holds a character that no key has", "Write the key alone, on one line", "api_key")
	}
	if c.Timeout <= 0 {
		bad("must be longer than 0", `Write a duration, such as "60s"`, "timeout")
	}
	if c.AnswerTimeout <= 0 {
		bad("must be longer than 0", `Write a duration, such as "5m"`, "answer_timeout")
	}
	if c.MaxRetries < 0 || c.MaxRetries > 10 {
		bad("must be from 0 to 10", "2 means three tries at most", "max_retries")
	}
	names := make([]string, 0, len(c.Headers))
	for name := range c.Headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(c.Headers[name]) {
			bad("not a valid HTTP header", "Write a name of letters, digits and hyphens, and a value on one line", "headers", name)
		}
	}
	return errs
}

// redactor blanks the secrets that an answer might repeat.
func redactor(c *config) *strings.Replacer {
	var pairs []string
	for _, secret := range append([]string{c.APIKey}, values(c.Headers)...) {
		if len(secret) >= 6 {
			pairs = append(pairs, secret, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v, strings.TrimPrefix(v, "Bearer "))
	}
	return out
}
