package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
)

// compareInterval is the time after which a server notices that another one has another configuration.
const compareInterval = 10 * time.Second

// replicas compares this server with the others that use the database. Servers with different secret keys reject each
// other's tokens, and servers with different plugins fail different requests.
type replicas struct {
	store core.ServerStore
	self  core.Server
	// plugins returns the current fingerprint of plugins.hcl, which a reload changes.
	plugins func() string
	logger  *slog.Logger
	// differences describes how the others differ. It is empty if they do not.
	differences atomic.Pointer[string]

	stop context.CancelFunc
	done sync.WaitGroup
}

func newReplicas(store core.ServerStore, self core.Server, plugins func() string, logger *slog.Logger) *replicas {
	return &replicas{store: store, self: self, plugins: plugins, logger: logger, stop: func() {}}
}

// start registers this server, compares it with the others, and does so again every compareInterval until close.
func (r *replicas) start(ctx context.Context) error {
	if err := r.compare(ctx); err != nil {
		return fmt.Errorf("compare the configuration of the servers: %w", err)
	}
	loop, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.done.Go(func() {
		ticker := time.NewTicker(compareInterval)
		defer ticker.Stop()
		for {
			select {
			case <-loop.Done():
				return
			case <-ticker.C:
			}
			if err := r.compare(loop); err != nil && loop.Err() == nil {
				r.logger.DebugContext(loop, "cannot compare the configuration of the servers", "error", err)
			}
		}
	})
	return nil
}

// close stops what start has started.
func (r *replicas) close() {
	r.stop()
	r.done.Wait()
}

// check returns an error if another server has another configuration. It names no server, because anyone can read it.
func (r *replicas) check() error {
	if text := r.differences.Load(); text != nil && *text != "" {
		return core.Unavailable("%s. Run agentarea db status to compare the servers", *text)
	}
	return nil
}

// compare registers this server if that is necessary, and compares it with the others.
func (r *replicas) compare(ctx context.Context) error {
	servers, err := r.store.Servers(ctx, time.Now())
	if err != nil {
		return err
	}
	r.self.Plugins = r.plugins()
	registered := false
	var others []core.Server
	for _, s := range servers {
		if s.ID == r.self.ID {
			registered = s.Plugins == r.self.Plugins
			continue
		}
		others = append(others, s)
	}
	if !registered {
		if err := r.store.RegisterServer(ctx, &r.self); err != nil {
			return err
		}
	}
	r.report(ctx, others)
	return nil
}

// report stores how the others differ, and logs it if it has changed.
func (r *replicas) report(ctx context.Context, others []core.Server) {
	var keys, plugins, versions []string
	for _, s := range others {
		if !r.self.SharesKeys(&s) {
			keys = append(keys, s.Host)
		}
		if !r.self.SharesPlugins(&s) {
			plugins = append(plugins, s.Host)
		}
		if s.Version != r.self.Version {
			versions = append(versions, s.Host+" has "+s.Version)
		}
	}
	var parts []string
	if n := len(keys); n > 0 {
		parts = append(parts, english.Plural(n, "other server has", "other servers have")+" another secret key")
	}
	if n := len(plugins); n > 0 {
		parts = append(parts, english.Plural(n, "other server has", "other servers have")+" another plugins.hcl")
	}
	text := strings.Join(parts, ", ")
	if old := r.differences.Swap(&text); old != nil && *old == text {
		return
	}
	if len(keys) > 0 {
		r.logger.ErrorContext(ctx, "other servers on this database have another secret key: tokens and secrets of one server "+
			"do not work on the other. Start all servers with the same AGENTAREA_SECRET_KEY", "hosts", keys)
	}
	if len(plugins) > 0 {
		r.logger.WarnContext(ctx, "other servers on this database have another plugins.hcl, or other variables in it: use the "+
			"same on all servers, and reload it", "hosts", plugins)
	}
	if len(versions) > 0 {
		r.logger.InfoContext(ctx, "other servers on this database have another version", "version", r.self.Version,
			"others", versions)
	}
}
