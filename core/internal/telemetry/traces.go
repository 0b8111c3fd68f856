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
	// complainEvery is how often the log says that spans can't be sent.
	complainEvery = time.Minute
)

var noTraces = noop.NewTracerProvider()

// Traces makes spans, and sends them.
type Traces struct {
	// On says that spans are sent somewhere.
	On       bool
	provider trace.TracerProvider
	close    func(context.Context) error
}

// Variables of OpenTelemetry's that say what is traced; the others are read by its SDK.
const (
	endpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	exporter       = "OTEL_TRACES_EXPORTER"
	disabled       = "OTEL_SDK_DISABLED"
	onlyProtocol   = "http/protobuf"
)

// OpenTraces begins to send spans where the environment's OTEL_ variables say, and
// makes none without an endpoint. Close sends what is left.
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
		return nil, fmt.Errorf("%s: there is no exporter %q (write otlp, or none)", exporter, by)
	}
	if name, is := first(tracesProtocol, protocol); is != "" && is != onlyProtocol {
		return nil, fmt.Errorf("%s: %s is not spoken (write %s, and the endpoint's port for it: 4318 by custom)", name, is, onlyProtocol)
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(attribute.String("service.name", serviceName), attribute.String("service.version", version)),
		resource.WithFromEnv(), // last, for it counts
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	to, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	otel.SetErrorHandler(&complaints{log: logger})
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(to), sdktrace.WithResource(about))
	return &Traces{On: true, provider: provider, close: provider.Shutdown}, nil
}

// Tracer makes the spans.
func (t *Traces) Tracer() trace.Tracer { return t.provider.Tracer(scope) }

// Close sends the spans that wait, until ctx ends.
func (t *Traces) Close(ctx context.Context) error { return t.close(ctx) }

// complaints are the SDK's: that a collector is away is said once in a while.
type complaints struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < complainEvery {
		return
	}
	c.last = time.Now()
	c.log.Warn("spans are lost: they can't be sent", "error", err)
}
