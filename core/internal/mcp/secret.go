package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/core"
)

// secrets are the values of a config's env and headers, and the whole of a url that
// has a query or a password.
type secrets struct {
	Env     map[string]string `json:"env,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	URL     string            `json:"url,omitempty"`
}

// group is the secrets of one word of the config.
type group struct {
	word   string
	values *map[string]string
}

func (s *secrets) groups() []group {
	return []group{{"env", &s.Env}, {"headers", &s.Headers}}
}

func (s *secrets) empty() bool { return len(s.Env) == 0 && len(s.Headers) == 0 && s.URL == "" }

// clearConfig is a config whose secrets are in it.
type clearConfig struct {
	words   map[string]json.RawMessage
	secrets secrets
}

// readConfig reads a config that came from a user. A masked value is taken from
// old. It fails with Invalid.
func readConfig(config json.RawMessage, old secrets) (*clearConfig, error) {
	c := &clearConfig{}
	if err := json.Unmarshal(config, &c.words); err != nil || c.words == nil {
		return nil, core.Invalid("config", `Must be an object, as {"command": "npx", "args": []} or {"url": "https://example.com/mcp"}`)
	}
	olds := old.groups()
	for i, g := range c.secrets.groups() {
		raw, ok := c.words[g.word]
		if !ok || bytes.Equal(raw, []byte("null")) {
			delete(c.words, g.word)
			continue
		}
		if err := json.Unmarshal(raw, g.values); err != nil {
			return nil, core.Invalid("config."+g.word, `Must be an object of strings, as {"NAME": "value"}`)
		}
		for name, value := range *g.values {
			if value != core.Masked {
				continue
			}
			kept, ok := (*olds[i].values)[name]
			if !ok {
				return nil, core.Invalid("config."+g.word+"."+name, "%q keeps the value that is there, and there is none: give one", core.Masked)
			}
			(*g.values)[name] = kept
		}
	}
	return c, c.readURL(old.URL)
}

// readURL takes the url out of the words if it has secrets. What is no text is for
// the transport to refuse.
func (c *clearConfig) readURL(old string) error {
	var text string
	if json.Unmarshal(c.words["url"], &text) != nil || !cutURL(text).secret() {
		return nil
	}
	whole, ok := unmaskURL(text, old)
	if !ok {
		return core.Invalid("config.url", "%q keeps the value that is there, and there is none: give one", core.Masked)
	}
	c.secrets.URL = whole
	return nil
}

// plain is the config with its secrets in clear; words are sorted, so that equal
// configs are equal bytes.
func (c *clearConfig) plain() json.RawMessage { return c.withValues(c.secrets) }

// masked is the config as it is stored and shown.
func (c *clearConfig) masked() json.RawMessage {
	var shown secrets
	to := shown.groups()
	for i, g := range c.secrets.groups() {
		if *g.values == nil {
			continue
		}
		*to[i].values = map[string]string{}
		for name := range *g.values {
			(*to[i].values)[name] = core.Masked
		}
	}
	if c.secrets.URL != "" {
		shown.URL = maskURL(c.secrets.URL)
	}
	return c.withValues(shown)
}

func (c *clearConfig) withValues(s secrets) json.RawMessage {
	words := make(map[string]any, len(c.words))
	for word, raw := range c.words {
		words[word] = raw
	}
	for _, g := range s.groups() {
		if *g.values != nil {
			words[g.word] = *g.values
		}
	}
	if s.URL != "" {
		words["url"] = s.URL
	}
	return encode(words)
}

// encode encodes what can't fail: our own types, and JSON that was read.
func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// seal encrypts the secrets of the server with that id; nil for none.
func (s *Servers) seal(id string, c *clearConfig) ([]byte, error) {
	if c.secrets.empty() {
		return nil, nil
	}
	sealed, err := s.Encrypter.Encrypt(id, encode(c.secrets))
	if err != nil {
		return nil, fmt.Errorf("seal the secrets of MCP server %s: %w", id, err)
	}
	return sealed, nil
}

// unseal gives the secrets of a stored server.
func (s *Servers) unseal(stored *core.MCPServer) (secrets, error) {
	var out secrets
	if len(stored.Secrets) == 0 {
		return out, nil
	}
	data, err := s.Encrypter.Decrypt(stored.ID, stored.Secrets)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return secrets{}, fmt.Errorf("open the secrets of MCP server %s: %w", stored.ID, err)
	}
	return out, nil
}
