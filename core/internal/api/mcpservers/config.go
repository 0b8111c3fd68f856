package mcpservers

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// The transports that transportOf derives from a config.
const (
	stdioTransport = "stdio"
	httpTransport  = "http"
)

// applyTo sets the fields of s to those of the request. The config still contains its secrets in plain
// text. A secret that is core.Masked must exist in the old config. It fails with Invalid.
func (r *mcpServerRequest) applyTo(s *core.MCPServer) error {
	if r.Slug != "" {
		if err := core.CheckSlug("slug", r.Slug); err != nil {
			return err
		}
	}
	config := json.RawMessage(r.Config)
	if len(config) == 0 {
		return core.Invalid("config", "Field is required")
	}
	transport := r.Transport
	if transport == "" {
		var err error
		if transport, err = transportOf(config); err != nil {
			return err
		}
	}
	if err := checkSecrets(config, s.Config); err != nil {
		return err
	}
	s.Name, s.Slug, s.Description = r.Name, r.Slug, r.Description
	s.Transport, s.Config, s.Shared = transport, config, r.Shared
	return nil
}

// transportOf returns the transport for a config: stdio for one with a command, http for one with a url.
// It fails with Invalid.
func transportOf(config json.RawMessage) (string, error) {
	fields, err := configFields(config)
	if err != nil {
		return "", err
	}
	_, command := fields["command"]
	_, url := fields["url"]
	switch {
	case command && url:
		return "", core.Invalid("transport", "Field is required because the config has both a command and a url. Remove one of them, or name the mcp plugin that accepts both.")
	case command:
		return stdioTransport, nil
	case url:
		return httpTransport, nil
	default:
		return "", core.Invalid("config", `Must have a command, such as {"command": "npx", "args": ["-y", "a-server"]}, or a url, such as {"url": "https://example.com/mcp"}. For other transports, set transport.`)
	}
}

// configFields returns the fields of a config, or of a part of one that is an object. It fails with
// Invalid.
func configFields(config json.RawMessage) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil || fields == nil {
		return nil, core.Invalid("config", "Must be an object")
	}
	return fields, nil
}

// secretFields are the fields of a config whose values are secrets.
var secretFields = []string{"env", "headers"}

// checkSecrets fails with Invalid unless each value of env and headers is a string, which can be masked,
// and each value that is core.Masked exists in the old config.
func checkSecrets(config, old json.RawMessage) error {
	fields, err := configFields(config)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if lower := strings.ToLower(name); lower != name && slices.Contains(secretFields, lower) {
			return core.Invalid("config."+name, "Must be spelled %q", lower)
		}
	}
	stored := map[string]json.RawMessage{}
	if len(old) > 0 {
		if stored, err = configFields(old); err != nil {
			return err
		}
	}
	for _, field := range secretFields {
		if raw, ok := fields[field]; ok {
			if err := checkSecretField("config."+field, raw, stored[field]); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSecretField checks the values of one secret field.
func checkSecretField(path string, raw, old json.RawMessage) error {
	values, err := configFields(raw)
	if err != nil {
		return core.Invalid(path, `Must be an object of strings, such as {"NAME": "value"}`)
	}
	stored, _ := configFields(old) // without an object there are no stored values
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var value *string
		if err := json.Unmarshal(values[name], &value); err != nil || value == nil {
			return core.Invalid(path+"."+name, "Must be a string")
		}
		if _, ok := stored[name]; !ok && *value == core.Masked {
			return core.Invalid(path+"."+name, "Must be the value itself. %s keeps a stored value, but there is none.", core.Masked)
		}
	}
	return nil
}

// maxSlugBase is the length to which a slug is cut before a number is appended.
const maxSlugBase = 37

// numberedSlug returns the nth slug to try: my-server, my-server-2, and so on.
func numberedSlug(base string, n int) string {
	if n == 1 {
		return base
	}
	return strings.TrimRight(base[:min(len(base), maxSlugBase)], "-") + "-" + strconv.Itoa(n)
}
