package app

import (
	"cmp"
	"net/http"

	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/accounts"
	"github.com/agentarea/agentarea/core/internal/api/agents"
	"github.com/agentarea/agentarea/core/internal/api/chat"
	"github.com/agentarea/agentarea/core/internal/api/events"
	"github.com/agentarea/agentarea/core/internal/api/files"
	"github.com/agentarea/agentarea/core/internal/api/health"
	"github.com/agentarea/agentarea/core/internal/api/mcpservers"
	"github.com/agentarea/agentarea/core/internal/api/plugins"
	"github.com/agentarea/agentarea/core/internal/api/runs"
	"github.com/agentarea/agentarea/core/internal/api/sessions"
	"github.com/agentarea/agentarea/core/internal/api/tasks"
	"github.com/agentarea/agentarea/core/internal/api/usage"
	"github.com/agentarea/agentarea/core/internal/telemetry"
	"github.com/agentarea/agentarea/core/internal/userdata"
)

// newAPI returns the handler of the whole API, and that of the MCP gateway alone.
func (a *App) newAPI(authn countedAuth) (all, mcp http.Handler) {
	srv := api.New(api.Options{
		Auth: authn, Audit: a.db, Keys: a.db, KeySecret: a.keySecret(), Limits: a.limits(), Observer: telemetry.NewHTTP(a.metrics, a.traces), Logger: a.logger,
		Version: Version, PublicURL: a.URL(),
	})
	a.onClose(func() error { srv.Close(); return nil })
	mcp = a.registerAPI(srv, authn, apiURLs{public: a.URL(), mcp: a.http.url(1, a.settings.MCPListen)})
	return srv.Handler(), mcp
}

// apiURLs are the URLs at which clients reach the server. mcp is that of the second listener, or empty
// without one.
type apiURLs struct{ public, mcp string }

// registerAPI registers every group of resources. It returns the handler of the MCP gateway alone.
func (a *App) registerAPI(srv *api.API, authn countedAuth, urls apiURLs) http.Handler {
	health.Register(srv, health.Options{Version: Version, Checks: a.readinessChecks(), Logger: a.logger})
	accounts.Register(srv, accounts.Options{
		Logins: authn, UserManager: authn, Users: a.db, KeyManager: authn, Keys: a.db, Audit: a.db,
		UserData: userdata.New(userdata.Options{
			Store: a.db, FileStore: a.db, Servers: a.servers, Files: a.files, Forget: authn.ForgetAll,
		}),
	})
	agents.Register(srv, a.agents)
	chat.Register(srv, chat.Options{Agents: a.agents, Files: a.files, Messages: a.db, Runner: a.engine})
	sessions.Register(srv, a.db, a.db)
	runs.Register(srv, a.db, a.engine)
	tasks.Register(srv, a.tasks, a.engine)
	events.Register(srv, events.Options{
		Hub: a.hub, Agents: a.db, Tasks: a.db, PublicURL: urls.public, Draining: a.stopping,
	})
	engine := a.metrics.Files(a.files)
	files.Register(srv, files.Options{
		Store: a.db, Uploader: engine, Downloader: engine, Mover: engine, MaxUpload: int64(a.settings.MaxFileSize),
	})
	mcpservers.Register(srv, mcpservers.Options{
		Store: a.db, Manager: a.servers, Controller: a.servers, Inspector: a.servers, URL: cmp.Or(urls.mcp, urls.public),
	})
	plugins.Register(srv, a.plugins, a.plugins)
	usage.Register(srv, a.db, usage.Limits{
		Database: int64(a.settings.MaxUserData), Files: int64(a.settings.MaxUserStorage),
	})
	return mcpservers.RegisterGateway(srv, a.gateway)
}
