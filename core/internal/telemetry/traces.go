package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const (
	scope       = "github.com/agentarea/agentarea"
	serviceName = "agentarea"
	// errorInterval is the minimum time between two log lines about failed exports.
	errorInterval = time.Minute
)

var noTraces = noop.NewTracerProvider()

// Traces records spans and exports them.
type Traces struct {
	// On means that spans are exported.
	On       bool
	provider trace.TracerProvider
	close    func(context.Context) error
}

// Environment variables of OpenTelemetry that are read here. Its SDK reads the others.
const (
	endpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	exporter       = "OTEL_TRACES_EXPORTER"
	disabled       = "OTEL_SDK_DISABLED"
	onlyProtocol   = "http/protobuf"
)

// OpenTraces starts the export of spans to the endpoint in the OTEL_ variables of the environment. Without an
// endpoint it returns a Traces that records nothing.
func OpenTraces(ctx context.Context, getenv func(string) string, version string, logger *slog.Logger) (*Traces, error) {
	off := &Traces{provider: noTraces, close: func(context.Context) error { return nil }}
	first := func(names ...string) (name, value string) {
		for _, name := range names {
			if value := strings.TrimSpace(getenv(name)); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	if _, to := first(tracesEndpoint, endpoint); to == "" || strings.EqualFold(getenv(disabled), "true") {
		return off, nil
	}
	switch _, by := first(exporter); by {
	case "none":
		return off, nil
	case "", "otlp":
	default:
		return nil, fmt.Errorf("%s: unknown exporter %q (use otlp or none)", exporter, by)
	}
	if name, is := first(tracesProtocol, protocol); is != "" && is != onlyProtocol {
		return nil, fmt.Errorf("%s: protocol %q is not supported (use %s and an endpoint with its port, usually 4318)",
			name, is, onlyProtocol)
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(attribute.String("service.name", serviceName), attribute.String("service.version", version)),
		resource.WithFromEnv(), // last, so that it overrides the others
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	to, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	otel.SetErrorHandler(&exportErrors{log: logger})
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(to), sdktrace.WithResource(about))
	return &Traces{On: true, provider: provider, close: provider.Shutdown}, nil
}

// Tracer returns the tracer that starts spans.
func (t *Traces) Tracer() trace.Tracer { return t.provider.Tracer(scope) }

// Close exports the remaining spans. It returns an error if that is not done before ctx is cancelled.
func (t *Traces) Close(ctx context.Context) error { return t.close(ctx) }

// exportErrors logs the errors of the SDK, at most one in each errorInterval.
type exportErrors struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// Handle implements otel.ErrorHandler.
func (c *exportErrors) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < errorInterval {
		return
	}
	c.last = time.Now()
	c.log.Warn("exporting spans failed; they are lost", "error", err)
}
