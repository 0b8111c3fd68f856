// Package app wires the server: it builds the services, connects them, and starts and stops them in
// order. No other package knows all of them.
package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/agents"
	"github.com/agentarea/agentarea/core/internal/auth"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/core/internal/files"
	"github.com/agentarea/agentarea/core/internal/limit"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/core/internal/mcp/gateway"
	"github.com/agentarea/agentarea/core/internal/pluginhost"
	"github.com/agentarea/agentarea/core/internal/retention"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/core/internal/tasks"
	"github.com/agentarea/agentarea/core/internal/telemetry"
	"github.com/agentarea/agentarea/storage"
)

// Version is the version of the server. A release sets it with -ldflags -X.
var Version = "0.1.0"

// Times that the parts of the server have to stop.
const (
	runsGrace       = 20 * time.Second
	requestsGrace   = 3 * time.Second // after runsGrace
	pluginsGrace    = 5 * time.Second
	mcpServersGrace = 5 * time.Second
)

// App is the server. Open builds and starts it, Run serves until its context is cancelled.
type App struct {
	settings *config.Settings
	logger   *slog.Logger
	metrics  *telemetry.Metrics
	traces   *telemetry.Traces

	data *datadir.Dir
	// keys are the secret keys, the current one first.
	keys    [][]byte
	db      *storage.DB
	plugins *pluginhost.Host
	agents  *agents.Service
	files   *files.Files
	servers *mcp.Servers
	gateway *gateway.Gateway
	log     *events.Log
	hub     *events.Hub
	// notifier stores system notifications.
	notifier *events.Notifier
	engine   *run.Engine
	tasks    *tasks.Service
	// rates counts requests, loginRates counts sign-ins.
	rates, loginRates limit.Counter
	// http serves the API with the MCP gateway and, if MCPListen is set, the gateway on a second address.
	http *httpServers
	// draining is closed when the server starts to stop.
	draining chan struct{}

	// AdminPassword is the password of the first admin if Open generated it. Otherwise it is empty.
	AdminPassword string

	// closers undo the steps of Open. They run in reverse order.
	closers []func() error
}

// Open builds and starts everything except serving. If it fails, it stops the parts that it has started.
func Open(ctx context.Context, settings *config.Settings, logger *slog.Logger) (_ *App, err error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	a := &App{settings: settings, logger: logger, draining: make(chan struct{}), http: newHTTPServers()}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	for _, step := range []func(context.Context) error{
		a.openTelemetry, a.openData, a.openDatabase, a.openPlugins, a.openFiles, a.openMCP, a.openEngine, a.openAPI,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// onClose registers a function that undoes a step of Open.
func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

// close undoes all steps of Open, the last one first.
func (a *App) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i](); err != nil {
			a.logger.Error("stopping a part of the server failed", "error", err)
		}
	}
}

func (a *App) openData(context.Context) (err error) {
	if a.data, err = datadir.Open(a.settings.DataDir); err != nil {
		return err
	}
	a.onClose(a.data.Close)
	if a.settings.SecretKey != "" {
		a.keys, err = a.settings.Keys()
		return err
	}
	a.keys, err = a.data.SecretKeys()
	return err
}

func (a *App) openPlugins(ctx context.Context) error {
	load := func() (*config.Config, error) { return LoadPlugins(a.settings.Config, a.logger) }
	cfg, err := load()
	if err != nil {
		return err
	}
	a.plugins = pluginhost.New(pluginhost.Options{
		DataDir: a.data.Path(), Logger: a.logger, Load: load,
		Dependents: a.db, Notifier: a.notifier, Metrics: a.metrics, Tracer: a.traces.Tracer(),
	})
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), pluginsGrace)
		defer cancel()
		return a.plugins.Close(ctx)
	})
	return a.plugins.Start(ctx, cfg)
}

func (a *App) openDatabase(ctx context.Context) (err error) {
	url := datadir.DatabaseURL(a.settings.DatabaseURL, a.data.Path())
	lock, err := a.lockDatabase(url)
	if err != nil {
		return err
	}
	if a.db, err = storage.Open(ctx, url, storage.Options{
		Metrics: a.metrics, Logger: a.logger,
		ObjectLimits: core.ObjectLimits{
			Agents: a.settings.MaxAgents, MCPServers: a.settings.MaxMCPServers,
			Sessions: a.settings.MaxSessions, APIKeys: a.settings.MaxAPIKeys,
			DatabaseBytes: int64(a.settings.MaxUserData),
		},
	}); err != nil {
		return err
	}
	a.onClose(a.db.Close)
	if err := a.db.Migrate(ctx); err != nil {
		return err
	}
	if err := claimDatabase(ctx, a.db, lock); err != nil {
		return err
	}
	a.notifier = events.NewNotifier(a.db, a.logger)
	a.onClose(func() error { a.notifier.Close(); return nil })
	sweeper := retention.Start(retention.Options{
		Store: a.db, Logger: a.logger,
		Keep: retention.Keep{
			Events: a.settings.KeepEvents, Runs: a.settings.KeepRuns,
			Sessions: a.settings.KeepSessions, Audit: a.settings.KeepAudit,
		},
	})
	a.onClose(func() error { sweeper.Close(); return nil })
	return nil
}

// lockDatabase reserves a SQLite database for this server. It returns nil for PostgreSQL, which servers
// share.
func (a *App) lockDatabase(url string) (*datadir.DatabaseLock, error) {
	path, ok := storage.SQLitePath(url)
	if !ok {
		return nil, nil //nolint:nilnil // nothing to lock
	}
	lock, err := datadir.LockDatabase(path, a.data.Path())
	if err == nil {
		a.onClose(lock.Close)
	}
	return lock, err
}

// claimDatabase fails if another server uses a copy of the locked database.
func claimDatabase(ctx context.Context, db *storage.DB, lock *datadir.DatabaseLock) error {
	if lock == nil {
		return nil
	}
	instance, err := db.Instance(ctx)
	if err != nil {
		return err
	}
	return lock.Claim(instance)
}

func (a *App) openFiles(context.Context) error {
	a.files = files.New(files.Options{
		Store: a.db, Backends: a.plugins,
		Labels: func() []string { return fileBackends(a.plugins.Plugins()) }, Logger: a.logger,
		Limits: files.Limits{
			FileSize:  int64(a.settings.MaxFileSize),
			UserTotal: int64(a.settings.MaxUserStorage), Uploads: a.settings.UploadsPerUser,
		},
	})
	a.files.Start()
	a.onClose(func() error { a.files.Close(); return nil })
	return nil
}

// fileBackends returns the labels of the enabled files plugins.
func fileBackends(plugins []core.Plugin) []string {
	var labels []string
	for _, p := range plugins {
		if p.Kind == "files" && p.State != core.PluginDisabled {
			labels = append(labels, p.Label)
		}
	}
	return labels
}

func (a *App) openMCP(ctx context.Context) error {
	keyring, err := secrets.New(a.keys...)
	if err != nil {
		return err
	}
	if err := logUndecryptable(ctx, a.db, keyring, a.logger); err != nil {
		return err
	}
	a.servers = mcp.New(mcp.Options{
		Store: a.db, Users: a.db, Encrypter: keyring, Transports: a.plugins, Commands: a.settings.MCPCommands,
		Version: Version, Notifier: a.notifier, Logger: a.logger,
	})
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), mcpServersGrace)
		defer cancel()
		return a.servers.Close(ctx)
	})
	return a.servers.Begin(ctx)
}

func (a *App) openEngine(ctx context.Context) error {
	owner := core.NewID("process")
	// The lock of the data directory proves that the previous process has ended, so its runs need not
	// wait until its lease expires.
	last, err := a.data.ReadOrCreate(processIDFile, func() string { return owner })
	if err != nil {
		return err
	}
	if err := a.db.ReleaseLease(ctx, last); err != nil {
		return err
	}
	if err := a.data.Replace(processIDFile, owner); err != nil {
		return err
	}
	if a.hub, err = events.NewHub(ctx, a.db, a.db, a.logger); err != nil {
		return err
	}
	a.onClose(func() error { a.hub.Close(); return nil })
	a.log = events.NewLog(a.db, a.logger)
	a.onClose(func() error { a.log.Close(); return nil })
	a.agents = agents.New(a.db, a.db, a.plugins)
	a.engine = run.New(run.Options{
		Runs: a.db, Messages: a.db, Tasks: a.db, Queue: a.db, Agents: a.agents,
		Wakeups: a.db, Log: a.log, Plugins: a.plugins, Toolbox: a.servers.Toolbox(),
		TaskSlots: a.settings.TaskSlots, TaskTimeout: a.settings.TaskTimeout, Metrics: a.metrics, Tracer: a.traces.Tracer(),
		Files: a.files, FileStore: a.db, Logger: a.logger, Owner: owner,
	})
	a.onClose(func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // Run has waited for the runs already
		return a.engine.Close(ctx)
	})
	a.tasks = tasks.New(tasks.Options{Agents: a.agents, Files: a.files, Store: a.db, Canceller: a.engine})
	return a.engine.Start(ctx)
}

func (a *App) openAPI(ctx context.Context) error {
	a.openRates()
	authn, err := auth.New(auth.Options{
		Users: a.db, Logins: a.db, Keys: a.db, Rates: a.loginRates, MaxLoginAge: a.settings.MaxLoginAge,
		Secret: a.keys[0], OldSecrets: a.keys[1:],
	})
	if err != nil {
		return err
	}
	a.onClose(a.http.close)
	for _, l := range []struct{ flag, address string }{
		{"--listen", a.settings.Listen}, {"--mcp-listen", a.settings.MCPListen},
	} {
		if l.address == "" {
			continue
		}
		if err := a.http.listen(ctx, l.flag, l.address); err != nil {
			return err
		}
	}
	// This is the last step that can fail, because a generated password is printed only once.
	if a.AdminPassword, err = authn.EnsureAdmin(ctx, a.settings.AdminUsername,
		string(a.settings.AdminPassword)); err != nil {
		return fmt.Errorf("AGENTAREA_ADMIN_USERNAME and AGENTAREA_ADMIN_PASSWORD: %w", err)
	}
	a.gateway = gateway.New(gateway.Options{
		Servers: children{a.servers}, Auth: authn, PublicURL: a.settings.PublicURL, Logger: a.logger,
	})
	a.onClose(func() error { a.gateway.Close(); return nil })
	apiHandler, mcpHandler := a.newAPI(countedAuth{authn, a.metrics})
	a.onClose(func() error { a.http.cancelRequests(); return nil })
	proxies := limit.Proxies(a.settings.TrustedProxies)
	a.metrics.Watch(telemetry.States{Plugins: a.plugins.Plugins, MCPServers: a.servers.Counts, Backlog: a.db.TaskBacklog})
	a.http.add(proxies.SetClientAddr(withMetrics(a.metrics.Handler(string(a.settings.MetricsToken)), apiHandler)),
		a.logger)
	if a.settings.MCPListen != "" {
		a.http.add(proxies.SetClientAddr(mcpHandler), a.logger)
	}
	return nil
}

// processIDFile is the file of the data directory that has the id of the process that owns the runs.
const processIDFile = "server-id"

// Run serves until ctx is cancelled, waits for runs and requests in progress, and stops everything. A
// signal on reload reloads plugins.hcl.
func (a *App) Run(ctx context.Context, reload <-chan os.Signal) error {
	defer a.close()
	if a.settings.WatchConfig {
		if err := watchFile(ctx, a.settings.Config, a.logger, func() { reloadPlugins(ctx, a.plugins) }); err != nil {
			a.logger.WarnContext(ctx, "cannot watch the plugin configuration: reload it with SIGHUP or POST /v1/plugins/reload",
				"error", err)
		}
	}
	go reloadOnSignal(ctx, reload, a.plugins)
	failed := a.http.serve()
	notifySystemd(ctx, daemon.SdNotifyReady, a.logger)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	notifySystemd(ctx, daemon.SdNotifyStopping, a.logger)
	a.drain(context.WithoutCancel(ctx))
	return nil
}

// reloadPlugins reloads plugins.hcl, unless it lacks a plugin that objects need. The host logs the result.
func reloadPlugins(ctx context.Context, plugins *pluginhost.Host) {
	_, _ = plugins.Reload(ctx, core.ReloadOptions{})
}

func reloadOnSignal(ctx context.Context, signals <-chan os.Signal, plugins *pluginhost.Host) {
	for {
		select {
		case <-signals:
			reloadPlugins(ctx, plugins)
		case <-ctx.Done():
			return
		}
	}
}

// drain stops the server gracefully. It accepts no new requests, waits for runs and leaves those that do
// not end within runsGrace to the next server, and finally cancels the remaining requests.
func (a *App) drain(ctx context.Context) {
	a.logger.InfoContext(ctx, "stopping: waiting for runs in progress", "grace", runsGrace)
	close(a.draining)
	requests, cancel := context.WithTimeout(ctx, runsGrace+requestsGrace)
	defer cancel()
	var requestsDone sync.WaitGroup
	requestsDone.Go(func() { a.http.shutdown(requests) })
	runs, cancelRuns := context.WithTimeout(ctx, runsGrace)
	defer cancelRuns()
	if err := a.engine.Close(runs); err != nil {
		a.logger.ErrorContext(ctx, "stopping the engine failed", "error", err)
	}
	// The remaining requests follow runs that the next server resumes.
	time.AfterFunc(requestsGrace, a.http.cancelRequests)
	requestsDone.Wait()
}

// URL returns the URL under which clients reach the server.
func (a *App) URL() string {
	return cmp.Or(a.settings.PublicURL, a.http.url(0, a.settings.Listen))
}
