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

// check validates a server and its config. It reports whether only admins may configure servers of the transport.
func (s *Servers) check(
	ctx context.Context, actor core.Actor, m *core.MCPServer, config core.MCPConfig,
) (adminOnly bool, err error) {
	if err := core.CheckSlug("slug", m.Slug); err != nil {
		return false, err
	}
	if err := s.checkTransport(m.Transport); err != nil {
		return false, err
	}
	transport, err := s.Transports.MCPTransport(ctx, m.Transport)
	if err != nil {
		return false, err
	}
	// Checked after the start of the plugin, because a plugin has no capabilities before it.
	if adminOnly, err = s.checkAccess(ctx, actor, m, config); err != nil {
		return false, err
	}
	return adminOnly, checkConfig(ctx, transport, config)
}

// checkAccess checks whether the actor may configure a server of the transport, and what only admins may configure. The
// store enforces that only admins can do so, too (mayUseTransport in storage). Checking it before the config hides from
// other users what the check of a command reveals about this machine.
func (s *Servers) checkAccess(
	ctx context.Context, actor core.Actor, m *core.MCPServer, config core.MCPConfig,
) (adminOnly bool, err error) {
	if s.process(m.Transport) {
		if !actor.Admin() {
			return false, core.Forbidden("Only an admin can create or change this MCP server, because its transport runs " +
				"commands on the server's machine. You can create MCP servers that are reached by url.").WithField("transport")
		}
		return true, s.checkCommand(config)
	}
	if !s.unguarded(m.Transport) {
		return false, nil
	}
	if err := s.checkActor(actor, m.Transport); err != nil {
		return false, err
	}
	usable, err := s.usableBy(ctx, m.Transport, m.CreatedBy)
	if err == nil && !usable {
		err = core.Invalid("transport", "%s The creator of this MCP server is not an admin.", adminsOnly(m.Transport))
	}
	return true, err
}

// checkTransport fails with Invalid if no enabled plugin has the label.
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
		return core.Invalid("transport", "No MCP transport is available. Enable an mcp plugin in plugins.hcl.")
	}
	return core.Invalid("transport", "Unknown transport %q. Must be one of: %s.", label, strings.Join(labels, ", "))
}

// checkConfig validates a config with its transport. It fails with Invalid for the fields of config.
func checkConfig(ctx context.Context, transport mcptransport.Transport, config core.MCPConfig) error {
	err := transport.CheckConfig(ctx, config.JSON())
	if err == nil {
		return nil
	}
	redactor := newRedactor(config.Secrets)
	var faulty *sdk.ConfigError
	if !errors.As(err, &faulty) {
		var public *core.Error
		if errors.As(err, &public) {
			return err
		}
		return &core.Error{
			Code:    core.CodeUnavailable,
			Message: "The transport could not check the config: " + redactor.redact(publicMessage(err)), Err: err,
		}
	}
	invalid := core.Invalid("config", "")
	invalid.Fields = nil
	var document any
	_ = json.Unmarshal(config.JSON(), &document) // it is valid JSON
	for _, e := range configErrors(err) {
		issue := e.Summary
		if e.Detail != "" {
			issue += ". " + e.Detail
		}
		invalid.Fields = append(invalid.Fields, core.FieldError{
			Field: core.FieldPath("config", document, e.Path), Issue: redactor.redact(issue),
		})
	}
	return invalid
}

// configErrors returns the config errors in err's tree.
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
