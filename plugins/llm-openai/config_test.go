package main

import (
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	"github.com/agentarea/agentarea/test/openaitest"
)

func TestConfigure(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*config)
		// want has parts of the error; nil for a valid config.
		want []string
	}{
		{"valid", func(*config) {}, nil},
		{"no key for a local server", func(c *config) { c.APIKey, c.BaseURL = "", "http://localhost:11434/v1" }, nil},
		{"key with a trailing newline", func(c *config) { c.APIKey += "\n" }, nil},
		{"no key", func(c *config) { c.APIKey = "" }, []string{"api_key: ", `env("OPENAI_API_KEY")`}},
		{"key with two lines", func(c *config) { c.APIKey = "a\nb" }, []string{"api_key: "}},
		{"no scheme", func(c *config) { c.BaseURL = "localhost:11434" }, []string{"base_url: ", "http://"}},
		{"no host", func(c *config) { c.BaseURL = "https:///v1" }, []string{"base_url: ", "host"}},
		{"password in base_url", func(c *config) { c.BaseURL = "https://me:hush@example.org/v1" }, []string{"base_url: ", "password"}},
		{"retries and timeouts", func(c *config) { c.MaxRetries, c.Timeout, c.AnswerTimeout = -1, 0, -1 }, []string{"max_retries: ", "\ntimeout: ", "answer_timeout: "}},
		{"invalid header", func(c *config) { c.Headers = map[string]string{"X Team": "a"} }, []string{"headers: X Team: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProvider()
			p.config = config{
				BaseURL: "https://api.openai.com/v1", APIKey: key, Timeout: time.Second, AnswerTimeout: time.Second,
			}
			tt.change(&p.config)
			err := p.Configure(t.Context(), sdk.Env{})
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("Configure() = %v, want an error: %t", err, tt.want != nil)
			}
			for _, want := range tt.want {
				if !strings.Contains("\n"+err.Error(), want) {
					t.Errorf("err = %v, want %q", err, want)
				}
			}
			if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "hush")) {
				t.Errorf("err = %v contains a secret", err)
			}
		})
	}
}

// The defaults apply to an empty config block.
func TestDefaults(t *testing.T) {
	t.Parallel()
	p := newProvider()
	if err := plugin.Decode([]byte(`{"api_key":"k"}`), &p.config); err != nil {
		t.Fatal(err)
	}
	if err := p.Configure(t.Context(), sdk.Env{}); err != nil {
		t.Fatal(err)
	}
	c := p.config
	if c.BaseURL != "https://api.openai.com/v1" || c.Timeout != time.Minute || c.AnswerTimeout != 5*time.Minute ||
		c.MaxRetries != 0 || !p.isOpenAI {
		t.Errorf("config = %+v", c)
	}
}

func TestListModels(t *testing.T) {
	t.Parallel()
	_, p := start(t, openaitest.Options{}, nil)
	models, err := p.ListModels(t.Context())
	if err != nil || len(models) != 4 || models[0].ID != "gpt-4o" {
		t.Fatalf("models = %v, err = %v", models, err)
	}
	// The list is cached, so the server may go away.
	p.list = configured(t, "http://127.0.0.1:1/v1", nil).list
	if again, err := p.ListModels(t.Context()); err != nil || len(again) != 4 {
		t.Errorf("again: models = %v, err = %v", again, err)
	}
}

func TestListModels_openAI(t *testing.T) {
	t.Parallel()
	_, p := start(t, openaitest.Options{Models: []string{"gpt-4o", "text-embedding-3-small", "whisper-1", "o3-mini"}}, nil)
	p.isOpenAI = true
	models, err := p.ListModels(t.Context())
	if err != nil || len(models) != 2 || models[1].ID != "o3-mini" {
		t.Errorf("models = %v, err = %v", models, err)
	}
}

func TestListModels_fromConfig(t *testing.T) {
	t.Parallel()
	p := configured(t, "http://127.0.0.1:1/v1", func(c *config) { c.Models = []string{"a", "b"} })
	models, err := p.ListModels(t.Context())
	if err != nil || len(models) != 2 || models[1].ID != "b" {
		t.Errorf("models = %v, err = %v", models, err)
	}
}

func TestListModels_wrongKey(t *testing.T) {
	t.Parallel()
	_, p := start(t, openaitest.Options{}, func(c *config) { c.APIKey = "wrong-wrong" })
	if _, err := p.ListModels(t.Context()); sdk.AsError(err).Code != sdk.CodeUnauthorized {
		t.Errorf("err = %v", err)
	}
}
