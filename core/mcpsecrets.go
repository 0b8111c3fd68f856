package core

import "strings"

// MCPSecrets contains the secret values of an MCP server's config. Its JSON encoding is encrypted
// and stored.
type MCPSecrets struct {
	Env     map[string]string `json:"env,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// URL is the url if it has a query or a password, and empty otherwise.
	URL string `json:"url,omitempty"`
}

// Empty reports whether there are no secrets.
func (s MCPSecrets) Empty() bool { return len(s.Env) == 0 && len(s.Headers) == 0 && s.URL == "" }

// minSecret is the minimum length of a text that MCPSecrets.Texts returns, in bytes. A shorter text
// would match ordinary text.
const minSecret = 4

// Texts returns the texts that must be removed from logs and errors: the values, each line of a
// value of env, because logs are split by line, the x of a header "Bearer x", and the secrets in
// the url. It leaves out texts that are too short to be recognized.
func (s MCPSecrets) Texts() (texts []string) {
	add := func(text string) {
		if text = strings.TrimSpace(text); len(text) >= minSecret && text != Masked {
			texts = append(texts, text)
		}
	}
	for _, value := range s.Env {
		add(value)
		for line := range strings.Lines(value) {
			add(line)
		}
	}
	for _, value := range s.Headers {
		add(value)
		if _, credentials, found := strings.Cut(strings.TrimSpace(value), " "); found {
			add(credentials)
		}
	}
	for _, secret := range urlSecrets(s.URL) {
		add(secret)
	}
	return texts
}
