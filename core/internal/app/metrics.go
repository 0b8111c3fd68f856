package app

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/auth"
	"github.com/agentarea/agentarea/core/internal/telemetry"
)

const (
	// metricsPath is the path of the metrics for Prometheus.
	metricsPath = "/metrics"
	// spansGrace is the time to export the last spans when the server stops.
	spansGrace = 3 * time.Second
)

// openTelemetry creates the metrics and connects to the exporter of traces.
func (a *App) openTelemetry(ctx context.Context) (err error) {
	a.metrics = telemetry.NewMetrics(Version)
	if a.traces, err = telemetry.OpenTraces(ctx, os.Getenv, Version, a.logger); err != nil {
		return err
	}
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), spansGrace)
		defer cancel()
		if err := a.traces.Close(ctx); err != nil {
			a.logger.WarnContext(ctx, "exporting the last spans failed; they are lost", "error", err)
		}
		return nil
	})
	return nil
}

// withMetrics serves metrics at metricsPath and all other requests with rest.
func withMetrics(metrics, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == metricsPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			metrics.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// countedAuth counts sign-ins.
type countedAuth struct {
	*auth.Auth
	metrics *telemetry.Metrics
}

// Login implements accounts.Logins.
func (c countedAuth) Login(
	ctx context.Context, audit *core.AuditRecord, username, password, address string,
) (*core.Tokens, error) {
	tokens, err := c.Auth.Login(ctx, audit, username, password, address)
	return tokens, c.metrics.SignedIn(err)
}
