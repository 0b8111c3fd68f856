package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/core"
)

// secrets has the secret values of a config: env, headers, and the url if it has a query or a
// password.
type secrets struct {
	Env     map[string]string `json:"env,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	URL     string            `json:"url,omitempty"`
}

// secretGroup holds the secrets of one field of the config.
type secretGroup struct {
	key    string
	values *map[string]string
}

func (s *secrets) groups() []secretGroup {
	return []secretGroup{{"env", &s.Env}, {"headers", &s.Headers}}
}

func (s *secrets) empty() bool { return len(s.Env) == 0 && len(s.Headers) == 0 && s.URL == "" }

// plainConfig is a config with its secrets in clear text.
type plainConfig struct {
	fields  map[string]json.RawMessage
	secrets secrets
}

// parseConfig decodes a config that a user sent. It takes masked values from old. It
// fails with Invalid.
func parseConfig(config json.RawMessage, old secrets) (*plainConfig, error) {
	c := &plainConfig{}
	if err := json.Unmarshal(config, &c.fields); err != nil || c.fields == nil {
		return nil, core.Invalid("config", `Must be an object such as {"command": "npx", "args": []} or {"url": "https://example.com/mcp"}.`)
	}
	oldGroups := old.groups()
	for i, g := range c.secrets.groups() {
		raw, ok := c.fields[g.key]
		if !ok || bytes.Equal(raw, []byte("null")) {
			delete(c.fields, g.key)
			continue
		}
		if err := json.Unmarshal(raw, g.values); err != nil {
			return nil, core.Invalid("config."+g.key, `Must be an object of strings such as {"NAME": "value"}.`)
		}
		for name, value := range *g.values {
			if value != core.Masked {
				continue
			}
			kept, ok := (*oldGroups[i].values)[name]
			if !ok {
				return nil, core.Invalid("config."+g.key+"."+name, "%q keeps the existing value, but there is none. Enter a value.", core.Masked)
			}
			(*g.values)[name] = kept
		}
	}
	return c, c.readURL(old.URL)
}

// readURL removes the url from the fields if it contains secrets. The transport rejects a
// url that is not a string.
func (c *plainConfig) readURL(old string) error {
	var text string
	if json.Unmarshal(c.fields["url"], &text) != nil || !splitURL(text).hasSecret() {
		return nil
	}
	whole, ok := unmaskURL(text, old)
	if !ok {
		return core.Invalid("config.url", "%q keeps the existing value, but there is none. Enter a value.", core.Masked)
	}
	c.secrets.URL = whole
	return nil
}

// plain returns the config with its secrets in clear text. Its fields are sorted, so that
// equal configs have equal bytes.
func (c *plainConfig) plain() json.RawMessage { return c.withValues(c.secrets) }

// masked returns the config with masked secrets, as it is stored and returned to users.
func (c *plainConfig) masked() json.RawMessage {
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

func (c *plainConfig) withValues(s secrets) json.RawMessage {
	fields := make(map[string]any, len(c.fields))
	for word, raw := range c.fields {
		fields[word] = raw
	}
	for _, g := range s.groups() {
		if *g.values != nil {
			fields[g.key] = *g.values
		}
	}
	if s.URL != "" {
		fields["url"] = s.URL
	}
	return encode(fields)
}

// encode encodes v, which must be encodable.
func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// encryptSecrets encrypts the secrets of a server. It returns nil if there are none.
func (s *Servers) encryptSecrets(id string, c *plainConfig) ([]byte, error) {
	if c.secrets.empty() {
		return nil, nil
	}
	encrypted, err := s.Encrypter.Encrypt(id, encode(c.secrets))
	if err != nil {
		return nil, fmt.Errorf("encrypt the secrets of MCP server %s: %w", id, err)
	}
	return encrypted, nil
}

// decryptSecrets returns the secrets of a stored server.
func (s *Servers) decryptSecrets(stored *core.MCPServer) (secrets, error) {
	var out secrets
	if len(stored.Secrets) == 0 {
		return out, nil
	}
	data, err := s.Encrypter.Decrypt(stored.ID, stored.Secrets)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return secrets{}, fmt.Errorf("decrypt the secrets of MCP server %s: %w", stored.ID, err)
	}
	return out, nil
}
