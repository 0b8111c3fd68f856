package api

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// The transports of servers whose config tells what they are.
const (
	stdioTransport = "stdio"
	httpTransport  = "http"
)

// applyTo changes the server to what is written. The config's secrets are still
// in it; those that are Masked must be there already.
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

// transportOf is the transport that a config is for.
func transportOf(config json.RawMessage) (string, error) {
	fields, err := configFields(config)
	if err != nil {
		return "", err
	}
	_, command := fields["command"]
	_, url := fields["url"]
	switch {
	case command && url:
		return "", core.Invalid("transport", "Must be given, for the config has both a command and a url: take out one of them, or name the mcp plugin that takes both")
	case command:
		return stdioTransport, nil
	case url:
		return httpTransport, nil
	default:
		return "", core.Invalid("config", `Must have a command, as in {"command": "npx", "args": ["-y", "a-server"]}, or a url, as in {"url": "https://example.com/mcp"}; or name another transport`)
	}
}

// configFields are those of a config, or of a part of one that is an object.
func configFields(config json.RawMessage) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil || fields == nil {
		return nil, core.Invalid("config", "Must be an object")
	}
	return fields, nil
}

// secretFields are those of a config whose values are secrets.
var secretFields = []string{"env", "headers"}

// checkSecrets makes sure that each value of env and headers is a string, which
// can be masked, and that one that is Masked stands for one of the old config,
// if there is an old one.
func checkSecrets(config, old json.RawMessage) error {
	fields, err := configFields(config)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if kept := strings.ToLower(name); kept != name && slices.Contains(secretFields, kept) {
			return core.Invalid("config."+name, "Must be written as %s", kept)
		}
	}
	had := map[string]json.RawMessage{}
	if len(old) > 0 {
		if had, err = configFields(old); err != nil {
			return err
		}
	}
	for _, field := range secretFields {
		if raw, ok := fields[field]; ok {
			if err := checkSecretField("config."+field, raw, had[field]); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkSecretField(path string, raw, old json.RawMessage) error {
	values, err := configFields(raw)
	if err != nil {
		return core.Invalid(path, `Must be an object of strings, like {"NAME": "value"}`)
	}
	kept, _ := configFields(old) // what is no object keeps nothing
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var value *string
		if err := json.Unmarshal(values[name], &value); err != nil || value == nil {
			return core.Invalid(path+"."+name, "Must be a string")
		}
		if _, ok := kept[name]; !ok && *value == core.Masked {
			return core.Invalid(path+"."+name, "Must be the value itself: %s stands for one that is there already, and there is none", core.Masked)
		}
	}
	return nil
}

// maxSlugBase leaves room for a number in a slug.
const maxSlugBase = 37

// numbered is the nth slug that is tried: my-server, my-server-2, ….
func numbered(base string, n int) string {
	if n == 1 {
		return base
	}
	return strings.TrimRight(base[:min(len(base), maxSlugBase)], "-") + "-" + strconv.Itoa(n)
}
