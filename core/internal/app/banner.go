package app

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/agentarea/agentarea/core/internal/config"
)

// PrintBanner prints the addresses of the server, its plugins and the generated password of the first
// admin. With the log format json, it is one line in that format.
func (a *App) PrintBanner(w io.Writer) {
	if a.settings.LogFormat == config.LogFormatJSON {
		a.logBanner(w)
		return
	}
	_, _ = fmt.Fprintf(w, "\nAgentArea %s is ready.\n\n  API    %s\n  Docs   %s/docs\n", Version, a.URL(), a.URL())
	if a.AdminPassword != "" {
		_, _ = fmt.Fprintf(w, "\n  The first admin is %q with the password %s\n  (save it: it is not shown again).\n",
			a.settings.AdminUsername, a.AdminPassword)
	}
	_, _ = fmt.Fprintf(w, "\n  Plugins:\n")
	for _, p := range a.plugins.Plugins() {
		name := p.Kind + " " + p.Label
		_, _ = fmt.Fprintf(w, "    %-16s %-10s %s\n", name, p.State, p.Description)
	}
	_, _ = fmt.Fprintln(w)
}

// bannerPlugin is a plugin in the banner.
type bannerPlugin struct {
	Kind        string `json:"kind"`
	Label       string `json:"label"`
	State       string `json:"state"`
	Description string `json:"description,omitempty"`
}

// logBanner prints the banner as a line of JSON, whatever the log level is.
func (a *App) logBanner(w io.Writer) {
	var plugins []bannerPlugin
	for _, p := range a.plugins.Plugins() {
		plugins = append(plugins, bannerPlugin{p.Kind, p.Label, string(p.State), p.Description})
	}
	logger := slog.New(slog.NewJSONHandler(w, nil)).With(
		"version", Version, "url", a.URL(), "docs", a.URL()+"/docs", "plugins", plugins)
	if a.AdminPassword != "" {
		logger = logger.With("admin_username", a.settings.AdminUsername, "admin_password", a.AdminPassword)
	}
	logger.Info("server is ready")
}
