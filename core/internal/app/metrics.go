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
	// metricsPath is where Prometheus reads.
	metricsPath = "/metrics"
	// spansGrace is what the last spans get to be sent when the server stops.
	spansGrace = 3 * time.Second
)

func (a *App) openTelemetry(ctx context.Context) (err error) {
	a.metrics = telemetry.NewMetrics(Version)
	if a.traces, err = telemetry.OpenTraces(ctx, os.Getenv, Version, a.logger); err != nil {
		return err
	}
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), spansGrace)
		defer cancel()
		if err := a.traces.Close(ctx); err != nil {
			a.logger.WarnContext(ctx, "the last spans are lost: they can't be sent", "error", err)
		}
		return nil
	})
	return nil
}

// withMetrics serves them beside the API.
func withMetrics(metrics, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == metricsPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			metrics.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// countedAuth counts who signs in.
type countedAuth struct {
	*auth.Auth
	metrics *telemetry.Metrics
}

// Login implements accounts.Logins.
func (c countedAuth) Login(ctx context.Context, username, password, address string) (*core.Tokens, error) {
	tokens, err := c.Auth.Login(ctx, username, password, address)
	return tokens, c.metrics.SignedIn(err)
}
