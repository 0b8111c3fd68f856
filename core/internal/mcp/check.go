package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// prepare checks a server that came from a user, masks its secrets and seals them.
// It says whether its transport runs programs on this machine.
func (s *Servers) prepare(ctx context.Context, v core.Actor, m *core.MCPServer, old secrets) (process bool, err error) {
	if err := core.CheckSlug("slug", m.Slug); err != nil {
		return false, err
	}
	if err := s.checkTransport(m.Transport); err != nil {
		return false, err
	}
	c, err := readConfig(m.Config, old)
	if err != nil {
		return false, err
	}
	transport, err := s.Transports.MCPTransport(ctx, m.Transport)
	if err != nil {
		return false, err
	}
	// Only now: a plugin that is still being started has not told what it does.
	if process = s.process(m.Transport); process {
		// The store says no as well. Here it keeps from everybody else what the
		// check would tell of this machine.
		if !v.Admin() {
			return false, core.Forbidden("Insufficient permissions: this transport runs commands on the server's machine, " +
				"so only an admin may create or change such an MCP server; one that is reached by a url may be anybody's")
		}
		if err := s.checkCommand(c.plain()); err != nil {
			return false, err
		}
	}
	if err := checkConfig(ctx, transport, c); err != nil {
		return false, err
	}
	m.Config = c.masked()
	m.Secrets, err = s.seal(m.ID, c)
	return process, err
}

// checkTransport fails with Invalid for a label that no enabled plugin has.
func (s *Servers) checkTransport(label string) error {
	var labels []string
	for _, p := range s.Transports.Plugins() {
		if p.Kind == mcptransport.Kind && p.State != core.PluginDisabled {
			labels = append(labels, p.Label)
		}
	}
	switch {
	case slices.Contains(labels, label):
		return nil
	case len(labels) == 0:
		return core.Invalid("transport", "No transport is there: enable an mcp stanza in plugins.hcl")
	}
	return core.Invalid("transport", "There is no transport %q: choose one of %s", label, strings.Join(labels, ", "))
}

// checkConfig asks the transport. It fails with Invalid of config's fields.
func checkConfig(ctx context.Context, transport mcptransport.Transport, c *clearConfig) error {
	err := transport.CheckConfig(ctx, json.RawMessage(c.plain()))
	if err == nil {
		return nil
	}
	redact := newRedactor(c.secrets)
	var faulty *sdk.ConfigError
	if !errors.As(err, &faulty) {
		var shown *core.Error
		if errors.As(err, &shown) {
			return err
		}
		return &core.Error{
			Code: core.CodeUnavailable, Message: "The transport can't check the config: " + redact.told(publicText(err)), Err: err,
		}
	}
	invalid := core.Invalid("config", "")
	invalid.Fields = nil
	for _, e := range configErrors(err) {
		issue := e.Summary
		if e.Detail != "" {
			issue += ". " + e.Detail
		}
		invalid.Fields = append(invalid.Fields, core.FieldError{
			Field: strings.Join(append([]string{"config"}, e.Path...), "."), Issue: redact.told(issue),
		})
	}
	return invalid
}

// configErrors are those of err's tree.
func configErrors(err error) []*sdk.ConfigError {
	switch e := err.(type) { //nolint:errorlint // this walks the tree
	case *sdk.ConfigError:
		return []*sdk.ConfigError{e}
	case interface{ Unwrap() []error }:
		var all []*sdk.ConfigError
		for _, inner := range e.Unwrap() {
			all = append(all, configErrors(inner)...)
		}
		return all
	case interface{ Unwrap() error }:
		return configErrors(e.Unwrap())
	}
	return nil
}
