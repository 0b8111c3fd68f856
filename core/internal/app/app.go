// Package app wires the server: it builds the services, connects them, and starts and stops them in
// order. No other package knows all of them.
package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/agents"
	"github.com/agentarea/agentarea/core/internal/api"
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
	"github.com/agentarea/agentarea/storage/fileowner"
)

// Version is the version of the server. A release sets it with -ldflags -X.
var Version = "0.1.0"

// Times that the parts of the server have to stop.
const (
	// admitGrace is the time in which the last requests that the server has accepted start their runs.
	admitGrace      = time.Second
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
	keyring *secrets.Keyring
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
	// owner identifies this process in leases.
	owner    string
	replicas *replicas
	tasks    *tasks.Service
	// rates counts requests, loginRates counts sign-ins.
	rates, loginRates limit.Counter
	// http serves the API with the MCP gateway and, if MCPListen is set, the gateway on a second address.
	http *httpServers
	// draining is closed when the server is about to stop, and stopping when it accepts no more requests.
	draining, stopping chan struct{}

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
	a := &App{
		settings: settings, logger: logger, draining: make(chan struct{}), stopping: make(chan struct{}),
		http: newHTTPServers(),
	}
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

func (a *App) openData(ctx context.Context) (err error) {
	if a.data, err = datadir.Open(a.settings.DataDir); err != nil {
		return err
	}
	a.onClose(a.data.Close)
	if uid, foreign := fileowner.Foreign(a.data.Path()); foreign {
		a.logger.WarnContext(ctx, "the server runs as root, but another user owns the data dir: files that plugins create in it "+
			"belong to root, and a server of that user cannot change them. Start the server as that user, or run chown -R",
			"data_dir", a.data.Path(), "owner_uid", uid)
	}
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
	if err := a.connectDatabase(ctx); err != nil {
		return err
	}
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

// waitLogInterval is the time between two log lines while the server waits for the database.
const waitLogInterval = 10 * time.Second

// connectDatabase waits until the database server accepts connections.
func (a *App) connectDatabase(ctx context.Context) error {
	wait := a.settings.DatabaseWait
	deadline, logged := time.Now().Add(wait), time.Time{}
	err := a.db.Connect(ctx, wait, func(err error) {
		if time.Since(logged) < waitLogInterval {
			return
		}
		logged = time.Now()
		a.logger.WarnContext(ctx, "the database does not accept connections; waiting for it",
			"remaining", time.Until(deadline).Round(time.Second), "error", err)
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("connect to the database %s: %w", storage.PublicURL(a.settings.DatabaseURL), err)
	}
	return err
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

func (a *App) openMCP(ctx context.Context) (err error) {
	if a.keyring, err = secrets.New(a.keys...); err != nil {
		return err
	}
	if err := logUndecryptable(ctx, a.db, a.keyring, a.logger); err != nil {
		return err
	}
	a.servers = mcp.New(mcp.Options{
		Store: a.db, Users: a.db, Encrypter: a.keyring, Transports: a.plugins, Commands: a.settings.MCPCommands,
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
	a.owner = core.NewID("process")
	// The lock of the data directory proves that the previous process has ended, so its runs need not
	// wait until its lease expires.
	last, err := a.data.ReadOrCreate(processIDFile, func() string { return a.owner })
	if err != nil {
		return err
	}
	if err := a.db.ReleaseLease(ctx, last); err != nil {
		return err
	}
	if err := a.data.Replace(processIDFile, a.owner); err != nil {
		return err
	}
	if a.hub, err = events.NewHub(ctx, a.db, a.db, a.logger); err != nil {
		return err
	}
	a.onClose(func() error { a.hub.Close(); return nil })
	a.log = events.NewLog(a.db, a.logger)
	a.onClose(func() error { a.log.Close(); return nil })
	a.agents = agents.New(a.db, a.db, a.plugins, a.servers)
	a.engine = run.New(run.Options{
		Runs: a.db, Messages: a.db, Tasks: a.db, Queue: a.db, Agents: a.agents,
		Wakeups: a.db, Log: a.log, Plugins: a.plugins, Toolbox: a.servers.Toolbox(),
		TaskSlots: a.settings.TaskSlots, TaskTimeout: a.settings.TaskTimeout, Metrics: a.metrics, Tracer: a.traces.Tracer(),
		Files: a.files, FileStore: a.db, Logger: a.logger, Owner: a.owner,
	})
	a.onClose(func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // Run has waited for the runs already
		return a.engine.Close(ctx)
	})
	a.tasks = tasks.New(tasks.Options{Agents: a.agents, Files: a.files, Store: a.db, Canceller: a.engine})
	if err := a.engine.Start(ctx); err != nil {
		return err
	}
	return a.openReplicas(ctx, a.owner)
}

// openReplicas compares this server with the others on the database. The engine must have a lease.
func (a *App) openReplicas(ctx context.Context, owner string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	self := core.Server{
		ID: owner, Host: host, Version: Version, Keys: a.keyring.IDs(), StartedAt: time.Now().UTC(),
	}
	a.replicas = newReplicas(a.db, self, func() string { return a.keyring.Fingerprint(a.plugins.ConfigHash()) }, a.logger)
	if err := a.replicas.start(ctx); err != nil {
		return err
	}
	a.onClose(func() error { a.replicas.close(); return nil })
	return nil
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
		Servers: children{a.servers}, Auth: authn, WriteError: api.WriteErrorStatus, PublicURL: a.settings.PublicURL,
		Logger: a.logger,
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

// Signals are the signals to a running server, besides the end of its context.
type Signals struct {
	// Reload reloads plugins.hcl.
	Reload <-chan os.Signal
	// Hurry is closed when the server must stop without the drain delay.
	Hurry <-chan struct{}
}

// Run serves until ctx is cancelled. Then it reports that it is not ready, serves on for the drain delay, waits for
// runs and requests in progress, and stops everything.
func (a *App) Run(ctx context.Context, signals Signals) error {
	defer a.close()
	if a.settings.WatchConfig {
		if err := watchFile(ctx, a.settings.Config, a.logger, func() { reloadPlugins(ctx, a.plugins) }); err != nil {
			a.logger.WarnContext(ctx, "cannot watch the plugin configuration: reload it with SIGHUP or POST /v1/plugins/reload",
				"error", err)
		}
	}
	go reloadOnSignal(ctx, signals.Reload, a.plugins)
	failed := a.http.serve()
	notifySystemd(ctx, daemon.SdNotifyReady, a.logger)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	notifySystemd(ctx, daemon.SdNotifyStopping, a.logger)
	a.drain(context.WithoutCancel(ctx), signals.Hurry)
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

// drain stops the server gracefully. It lets proxies find out that the server stops, accepts no new requests, waits
// for runs and leaves those that do not end within runsGrace to the next server, and finally cancels the remaining
// requests.
func (a *App) drain(ctx context.Context, hurry <-chan struct{}) {
	close(a.draining)
	a.awaitProxies(ctx, hurry)
	a.logger.InfoContext(ctx, "stopping: waiting for runs in progress", "grace", runsGrace)
	requests, cancel := context.WithTimeout(ctx, runsGrace+requestsGrace)
	defer cancel()
	requestsDone := make(chan struct{})
	go func() {
		defer close(requestsDone)
		a.http.shutdown(requests)
	}()
	close(a.stopping)
	runs, cancelRuns := context.WithTimeout(ctx, runsGrace)
	defer cancelRuns()
	select {
	case <-requestsDone:
	case <-time.After(admitGrace):
	}
	if err := a.engine.Close(runs); err != nil {
		a.logger.ErrorContext(ctx, "stopping the engine failed", "error", err)
	}
	// The remaining requests follow runs that the next server resumes.
	time.AfterFunc(requestsGrace, a.http.cancelRequests)
	<-requestsDone
}

// awaitProxies serves on for the drain delay, unless hurry is closed. Meanwhile /health/ready fails, and clients
// close their connections. Afterwards, no connection is lost when the listeners are closed.
func (a *App) awaitProxies(ctx context.Context, hurry <-chan struct{}) {
	delay := a.settings.DrainDelay
	if delay <= 0 {
		return
	}
	a.http.leaving.Store(true)
	a.logger.InfoContext(ctx, "stopping: not ready, and serving until proxies use other servers", "drain_delay", delay)
	select {
	case <-time.After(delay):
	case <-hurry:
		return
	}
	if err := a.http.refuse(); err != nil {
		a.logger.WarnContext(ctx, "connections that are not accepted yet may be reset", "error", err)
	}
}

// URL returns the URL under which clients reach the server.
func (a *App) URL() string {
	return cmp.Or(a.settings.PublicURL, a.http.url(0, a.settings.Listen))
}
