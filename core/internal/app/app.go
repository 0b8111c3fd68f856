// Package app wires the rooms together: it is the only one that knows them all.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/agentarea/agentarea"
	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/auth"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/core/internal/files"
	"github.com/agentarea/agentarea/core/internal/limit"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/core/internal/mcp/gateway"
	"github.com/agentarea/agentarea/core/internal/pluginhost"
	"github.com/agentarea/agentarea/core/internal/retention"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/core/internal/telemetry"
	"github.com/agentarea/agentarea/storage"
)

// Version is the server's, set when it is released.
var Version = "0.1.0"

const (
	// runsGrace is what runs get to end when the server stops; requestsGrace is
	// what is left to requests after that.
	runsGrace     = 20 * time.Second
	requestsGrace = 3 * time.Second
	pluginsGrace  = 5 * time.Second
	serversGrace  = 5 * time.Second
)

// App is the server. Open makes it, Run serves until its context ends.
type App struct {
	settings *config.Settings
	logger   *slog.Logger
	metrics  *telemetry.Metrics
	traces   *telemetry.Traces

	data *dataDir
	// keys are the secret ones, the current one first.
	keys    [][]byte
	db      *storage.DB
	plugins *pluginhost.Host
	files   *files.Files
	servers *mcp.Servers
	gateway *gateway.Gateway
	log     *events.Log
	hub     *events.Hub
	// notifier stores system notifications.
	notifier *events.Notifier
	engine   *run.Engine
	// rates counts requests, and loginRates sign-ins.
	rates, loginRates limit.Counter
	// http serves the API with the gateway, and a second one the gateway alone, if
	// a setting says so; each has its listener.
	http      []*http.Server
	listeners []net.Listener
	// endRequests ends the context of every request.
	endRequests context.CancelFunc
	draining    atomic.Bool
	drained     chan struct{}

	// AdminPassword is the first admin's, if it was made up just now.
	AdminPassword string

	// closers undo what Open did, last first.
	closers []func() error
}

// Open starts everything but the serving. What it started is closed when it fails.
func Open(ctx context.Context, settings *config.Settings, logger *slog.Logger) (_ *App, err error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	a := &App{settings: settings, logger: logger, drained: make(chan struct{})}
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

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

func (a *App) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i](); err != nil {
			a.logger.Error("closing", "error", err)
		}
	}
}

func (a *App) openData(context.Context) (err error) {
	if a.data, err = openDataDir(a.settings.DataDir); err != nil {
		return err
	}
	a.onClose(a.data.Close)
	if a.settings.SecretKey != "" {
		a.keys, err = a.settings.Keys()
		return err
	}
	a.keys, err = a.data.secretKeys()
	return err
}

func (a *App) openPlugins(ctx context.Context) error {
	load := func() (*config.Config, error) { return loadPlugins(a.settings.Config, a.logger) }
	cfg, err := load()
	if err != nil {
		return err
	}
	a.plugins = pluginhost.New(pluginhost.Options{DataDir: a.data.path, Logger: a.logger, Load: load, Notifier: a.notifier, Metrics: a.metrics, Tracer: a.traces.Tracer()})
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), pluginsGrace)
		defer cancel()
		return a.plugins.Close(ctx)
	})
	return a.plugins.Start(ctx, cfg)
}

// defaultConfig is where the plugins' file is looked for unless a setting says.
const defaultConfig = "plugins.hcl"

// loadPlugins reads the plugins' file. The built-in default stands for one that
// is not there, unless somebody has named it.
func loadPlugins(path string, logger *slog.Logger) (*config.Config, error) {
	cfg, err := config.Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path != defaultConfig:
		return nil, fmt.Errorf("--config: %w (name one that is there, or none for the built-in default)", err)
	case errors.Is(err, fs.ErrNotExist):
		logger.Info("no plugins' file: the built-in default serves", "config", path)
		return config.Parse(agentarea.DefaultPlugins, defaultConfig)
	}
	return cfg, err
}

func (a *App) openDatabase(ctx context.Context) (err error) {
	url := a.settings.DatabaseURL
	if url == "" {
		url = "sqlite://" + a.data.file("agentarea.db")
	}
	if a.db, err = storage.Open(ctx, url, storage.Options{Metrics: a.metrics}); err != nil {
		return err
	}
	a.onClose(a.db.Close)
	if err := a.db.Migrate(ctx); err != nil {
		return err
	}
	a.notifier = events.NewNotifier(a.db, a.logger)
	a.onClose(func() error { a.notifier.Close(); return nil })
	sweeper := retention.Start(retention.Options{
		Store: a.db, Logger: a.logger,
		Keep: retention.Keep{Events: a.settings.KeepEvents, Runs: a.settings.KeepRuns, Sessions: a.settings.KeepSessions, Audit: a.settings.KeepAudit},
	})
	a.onClose(func() error { sweeper.Close(); return nil })
	return nil
}

func (a *App) openFiles(context.Context) error {
	a.files = files.New(files.Options{
		Store: a.db, Backends: a.plugins, Labels: a.fileBackends, Logger: a.logger,
		Limits: files.Limits{
			FileSize: int64(a.settings.MaxFileSize), UserTotal: int64(a.settings.MaxUserStorage), Uploads: a.settings.UploadsPerUser,
		},
	})
	a.files.Start()
	a.onClose(func() error { a.files.Close(); return nil })
	return nil
}

// fileBackends are the labels of the enabled files plugins.
func (a *App) fileBackends() []string {
	var labels []string
	for _, p := range a.plugins.Plugins() {
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
	if err := a.checkSecrets(ctx, keyring); err != nil {
		return err
	}
	a.servers = mcp.New(mcp.Options{
		Store: a.db, Encrypter: keyring, Transports: a.plugins, Commands: a.settings.MCPCommands, Version: Version,
		Notifier: a.notifier, Logger: a.logger,
	})
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), serversGrace)
		defer cancel()
		return a.servers.Close(ctx)
	})
	return a.servers.Begin(ctx)
}

func (a *App) openEngine(ctx context.Context) error {
	owner := core.NewID("server")
	// The lock on the data dir says that the last life is over: its runs need
	// not wait for its lease to run out.
	last, err := a.data.keep("server-id", func() string { return owner })
	if err != nil {
		return err
	}
	if err := a.db.ReleaseLease(ctx, last); err != nil {
		return err
	}
	if err := a.data.replace("server-id", owner); err != nil {
		return err
	}
	if a.hub, err = events.NewHub(ctx, a.db, a.db, a.logger); err != nil {
		return err
	}
	a.onClose(func() error { a.hub.Close(); return nil })
	a.log = events.NewLog(a.db, a.logger)
	a.onClose(func() error { a.log.Close(); return nil })
	a.engine = run.New(run.Options{
		Runs: a.db, Messages: a.db, Tasks: a.db, Queue: a.db, Agents: a.db, Wakeups: a.db, Log: a.log, Plugins: a.plugins, Toolbox: a.servers.Toolbox(),
		TaskSlots: a.settings.TaskSlots, Metrics: a.metrics, Tracer: a.traces.Tracer(),
		Files: a.files, FileStore: a.db, Logger: a.logger, Owner: owner,
	})
	a.onClose(func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // Run has given the runs their time already
		return a.engine.Close(ctx)
	})
	return a.engine.Start(ctx)
}

func (a *App) openAPI(ctx context.Context) error {
	a.openRates()
	authn, err := auth.New(auth.Options{Users: a.db, Logins: a.db, Keys: a.db, Rates: a.loginRates, Secret: a.keys[0], OldSecrets: a.keys[1:]})
	if err != nil {
		return err
	}
	for _, l := range []struct{ flag, address string }{{"--listen", a.settings.Listen}, {"--mcp-listen", a.settings.MCPListen}} {
		if l.address == "" {
			continue
		}
		if err := a.listen(ctx, l.flag, l.address); err != nil {
			return err
		}
	}
	// Last of all that can fail, for a password that was made up is shown only once.
	if a.AdminPassword, err = authn.EnsureAdmin(ctx, a.settings.AdminUsername, string(a.settings.AdminPassword)); err != nil {
		return fmt.Errorf("AGENTAREA_ADMIN_USERNAME and AGENTAREA_ADMIN_PASSWORD: %w", err)
	}
	a.gateway = gateway.New(gateway.Options{Servers: children{a.servers}, Auth: authn, PublicURL: a.settings.PublicURL, Logger: a.logger})
	a.onClose(func() error { a.gateway.Close(); return nil })
	apiHandler, mcpHandler := a.newAPI(countedAuth{authn, a.metrics})
	base, end := context.WithCancel(context.Background())
	a.endRequests = end
	a.onClose(func() error { end(); return nil })
	proxies := limit.Proxies(a.settings.TrustedProxies)
	a.metrics.Watch(telemetry.States{Plugins: a.plugins.Plugins, MCPServers: a.servers.Counts, Backlog: a.db.TaskBacklog})
	a.serve(base, proxies.Believe(withMetrics(a.metrics.Handler(string(a.settings.MetricsToken)), apiHandler)))
	if len(a.listeners) > 1 {
		a.serve(base, proxies.Believe(mcpHandler))
	}
	return nil
}

// Plugins are the plugins as they stand.
func (a *App) Plugins() []core.Plugin { return a.plugins.Plugins() }

// Run serves until ctx ends, gives what is under way its time, and closes. What
// arrives on reload has plugins.hcl read anew.
func (a *App) Run(ctx context.Context, reload <-chan os.Signal) error {
	defer a.close()
	if a.settings.WatchConfig {
		if err := watchFile(ctx, a.settings.Config, a.logger, func() { _, _ = a.plugins.Reload(ctx) }); err != nil {
			// To serve is worth more: SIGHUP and POST /v1/plugins/reload are still there.
			a.logger.WarnContext(ctx, "the plugins' file is not watched: reload it yourself", "error", err)
		}
	}
	go a.reloads(ctx, reload)
	failed := make(chan error, len(a.http))
	for i, server := range a.http {
		go func() { failed <- server.Serve(a.listeners[i]) }()
	}
	a.notify(ctx, daemon.SdNotifyReady)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	a.notify(ctx, daemon.SdNotifyStopping)
	a.drain(context.WithoutCancel(ctx))
	return nil
}

func (a *App) reloads(ctx context.Context, wanted <-chan os.Signal) {
	for {
		select {
		case <-wanted:
			_, _ = a.plugins.Reload(ctx) // the log has what came of it
		case <-ctx.Done():
			return
		}
	}
}

// drain takes no new requests, lets runs end, leaves those that take too long to
// the next server, and ends what requests are left.
func (a *App) drain(ctx context.Context) {
	a.logger.InfoContext(ctx, "stopping: runs under way get their time", "grace", runsGrace)
	a.draining.Store(true)
	close(a.drained)
	var shut sync.WaitGroup
	requests, cancel := context.WithTimeout(ctx, runsGrace+requestsGrace)
	defer cancel()
	for _, server := range a.http {
		shut.Go(func() {
			if err := server.Shutdown(requests); err != nil {
				_ = server.Close()
			}
		})
	}
	runs, cancelRuns := context.WithTimeout(ctx, runsGrace)
	defer cancelRuns()
	if err := a.engine.Close(runs); err != nil {
		a.logger.ErrorContext(ctx, "stopping the engine", "error", err)
	}
	// Those who still watch are watching runs that the next server takes up.
	time.AfterFunc(requestsGrace, a.endRequests)
	shut.Wait()
}

// Banner tells a newcomer where to go.
func (a *App) Banner(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\nAgentArea %s is up.\n\n  API    %s\n  Docs   %s/docs\n", Version, a.URL(), a.URL())
	if a.AdminPassword != "" {
		_, _ = fmt.Fprintf(w, "\n  The first admin is %q with the password %s\n  (it is shown this once: keep it).\n",
			a.settings.AdminUsername, a.AdminPassword)
	}
	_, _ = fmt.Fprintf(w, "\n  Plugins:\n")
	for _, p := range a.Plugins() {
		name := p.Kind + " " + p.Label
		_, _ = fmt.Fprintf(w, "    %-16s %-10s %s\n", name, p.State, p.Description)
	}
	_, _ = fmt.Fprintln(w)
}
