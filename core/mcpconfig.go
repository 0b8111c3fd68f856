package core

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// The transports that MCPConfig.Transport returns. They are labels of mcp blocks in plugins.hcl.
const (
	stdioTransport = "stdio"
	httpTransport  = "http"
)

// MCPConfig is the config of an MCP server, such as {command, args, env} or {url, headers}. Its
// transport defines and checks the fields. The server itself uses the command, the url and the
// secrets.
type MCPConfig struct {
	// Secrets contains the secret values. The other fields do not.
	Secrets MCPSecrets
	// fields are the other fields, as they were sent. A transport may use any name for values of
	// any type, except for env and headers.
	fields map[string]json.RawMessage
}

// maxMCPFields is the maximum number of fields of the config of an MCP server, and of those of its env and headers.
// Transports check each of them.
const maxMCPFields = 1000

// ParseMCPConfig decodes the config of an MCP server. It fails with Invalid if raw is not a JSON
// object, if env or headers is not an object of strings, or if one of them has more than maxMCPFields fields. It
// preserves the digits of numbers.
func ParseMCPConfig(raw json.RawMessage) (MCPConfig, error) {
	var c MCPConfig
	if err := json.Unmarshal(raw, &c.fields); err != nil || c.fields == nil {
		return MCPConfig{}, Invalid("config", "Must be an object")
	}
	if n := len(c.fields); n > maxMCPFields {
		return MCPConfig{}, Invalid("config", "Must contain at most %d fields, but contains %d", maxMCPFields, n)
	}
	for _, name := range slices.Sorted(maps.Keys(c.fields)) {
		// A misspelled field would be stored without encryption.
		if lower := strings.ToLower(name); lower != name && (lower == "env" || lower == "headers") {
			return MCPConfig{}, Invalid("config."+name, "Must be spelled %q", lower)
		}
	}
	var err error
	if c.Secrets.Env, err = c.takeStrings("env"); err != nil {
		return MCPConfig{}, err
	}
	if c.Secrets.Headers, err = c.takeStrings("headers"); err != nil {
		return MCPConfig{}, err
	}
	c.Secrets.URL = c.takeSecretURL()
	return c, nil
}

// takeStrings removes a field and returns its values. It returns nil if there is no such field.
func (c MCPConfig) takeStrings(field string) (map[string]string, error) {
	raw, ok := c.fields[field]
	if !ok {
		return nil, nil
	}
	delete(c.fields, field)
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil || values == nil {
		return nil, Invalid("config."+field, `Must be an object of strings, such as {"NAME": "value"}`)
	}
	if n := len(values); n > maxMCPFields {
		return nil, Invalid("config."+field, "Must contain at most %d fields, but contains %d", maxMCPFields, n)
	}
	texts := make(map[string]string, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var text *string
		if err := json.Unmarshal(values[name], &text); err != nil || text == nil {
			return nil, Invalid("config."+field+"."+name, "Must be a string")
		}
		texts[name] = *text
	}
	return texts, nil
}

// takeSecretURL removes the url and returns it. It returns an empty string and keeps the field if
// the url contains no secret. The transport rejects a url that is not a string.
func (c MCPConfig) takeSecretURL() string {
	var text string
	if json.Unmarshal(c.fields["url"], &text) != nil || !splitURL(text).hasSecret() {
		return ""
	}
	delete(c.fields, "url")
	return text
}

// Transport returns the transport for the config: stdio for one with a command, http for one with
// a url. It fails with Invalid if the config has both or neither.
func (c MCPConfig) Transport() (string, error) {
	_, command := c.fields["command"]
	_, url := c.fields["url"]
	url = url || c.Secrets.URL != ""
	switch {
	case command && url:
		return "", Invalid("transport", "Field is required because the config has both a command and a url. "+
			"Remove one of them, or name the mcp plugin that accepts both.")
	case command:
		return stdioTransport, nil
	case url:
		return httpTransport, nil
	}
	return "", Invalid("config", `Must have a command, such as {"command": "npx", "args": ["-y", "a-server"]}, `+
		`or a url, such as {"url": "https://example.com/mcp"}. For other transports, set transport.`)
}

// Command returns the command, or an empty string if there is none. It fails with Invalid if the
// command is not a string.
func (c MCPConfig) Command() (string, error) {
	command, ok := decodeField[string](c.fields["command"])
	if !ok {
		return "", Invalid("config.command", "Must be a string")
	}
	return command, nil
}

// Masked returns the config with masked secrets, as it is stored and returned to users.
func (c MCPConfig) Masked() MCPConfig {
	c.Secrets = MCPSecrets{
		Env: maskValues(c.Secrets.Env), Headers: maskValues(c.Secrets.Headers), URL: maskURL(c.Secrets.URL),
	}
	return c
}

// maskValues returns the names with masked values. It returns nil for nil.
func maskValues(values map[string]string) map[string]string {
	if values == nil {
		return nil
	}
	masked := make(map[string]string, len(values))
	for name := range values {
		masked[name] = Masked
	}
	return masked
}

// Merge returns the config with the values of old in place of masked values. It fails with Invalid
// if old has no such value. sameTarget reports whether the config has the transport and the target of
// old, see SameTarget. If it does not, every masked value is Invalid, because the stored secrets would
// be sent to another program or host.
func (c MCPConfig) Merge(old MCPSecrets, sameTarget bool) (MCPConfig, error) {
	var err error
	if c.Secrets.Env, err = mergeValues("env", c.Secrets.Env, old.Env, sameTarget); err != nil {
		return MCPConfig{}, err
	}
	if c.Secrets.Headers, err = mergeValues("headers", c.Secrets.Headers, old.Headers, sameTarget); err != nil {
		return MCPConfig{}, err
	}
	url, ok := unmaskURL(c.Secrets.URL, old.URL)
	switch {
	case !ok:
		return MCPConfig{}, Invalid("config.url", "%q keeps the existing value, but there is none. Enter a value.", Masked)
	case !sameTarget && hasMask(c.Secrets.URL):
		return MCPConfig{}, otherTarget("config.url")
	}
	c.Secrets.URL = url
	return c, nil
}

// otherTarget returns the error of a field with a masked value that must be entered again.
func otherTarget(field string) error {
	return Invalid(field, "Enter the value again. %s keeps the stored value only while the transport, the command, "+
		"and the scheme, host and port of the url stay the same.", Masked)
}

// SameTarget reports whether the config sends its secrets to the same program or host as old: whether
// both have the same command, and the same scheme, host and port in the url. Configs of a transport
// that uses neither have the same target if all fields without secrets are equal.
func (c MCPConfig) SameTarget(old MCPConfig) bool {
	if !bytes.Equal(c.compact("command"), old.compact("command")) {
		return false
	}
	url, oldURL := c.url(), old.url()
	if url == "" && oldURL == "" && c.fields["command"] == nil {
		c.Secrets, old.Secrets = MCPSecrets{}, MCPSecrets{}
		return bytes.Equal(c.JSON(), old.JSON())
	}
	return urlTarget(url) == urlTarget(oldURL)
}

// compact returns the JSON text of a field without white space. It returns nil if there is no such field.
func (c MCPConfig) compact(field string) []byte {
	if c.fields[field] == nil {
		return nil
	}
	data, err := json.Marshal(c.fields[field])
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return data
}

// url returns the url with its secrets, or, if it is not a string, its JSON text. It returns an empty
// string if there is none.
func (c MCPConfig) url() string {
	if c.Secrets.URL != "" {
		return c.Secrets.URL
	}
	if text, ok := decodeField[string](c.fields["url"]); ok {
		return text
	}
	return string(c.compact("url"))
}

// mergeValues returns the values of a field with those of old in place of masked ones.
func mergeValues(field string, values, old map[string]string, sameTarget bool) (map[string]string, error) {
	merged := maps.Clone(values)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] != Masked {
			continue
		}
		kept, ok := old[name]
		if !ok {
			return nil, Invalid("config."+field+"."+name,
				"Must be the value itself. %s keeps a stored value, but there is none.", Masked)
		}
		if !sameTarget {
			return nil, otherTarget("config." + field + "." + name)
		}
		merged[name] = kept
	}
	return merged, nil
}

// JSON returns the config as a JSON object, with its secrets in plain text unless it is masked. The
// fields are sorted, so that equal configs have equal bytes.
func (c MCPConfig) JSON() json.RawMessage {
	fields := make(map[string]any, len(c.fields)+3)
	for name, raw := range c.fields {
		fields[name] = raw
	}
	if c.Secrets.Env != nil {
		fields["env"] = c.Secrets.Env
	}
	if c.Secrets.Headers != nil {
		fields["headers"] = c.Secrets.Headers
	}
	if c.Secrets.URL != "" {
		fields["url"] = c.Secrets.URL
	}
	data, err := json.Marshal(fields)
	if err != nil {
		panic(err) // every field was decoded from JSON
	}
	return data
}
