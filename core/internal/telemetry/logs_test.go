package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
)

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLogHandler_contextFields(t *testing.T) {
	t.Parallel()
	ctx := core.WithLogFields(t.Context(), core.LogFields{RequestID: "req-1"})
	ctx = core.WithLogFields(ctx, core.LogFields{RunID: "run-1", UserID: "user-1"})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	for name, tt := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"none":   {func(l *slog.Logger) { l.InfoContext(context.Background(), "hi") }, `level=INFO msg=hi`},
		"all":    {func(l *slog.Logger) { l.InfoContext(ctx, "hi", "a", 1) }, `level=INFO msg=hi a=1 request_id=req-1 run_id=run-1 user_id=user-1`},
		"own":    {func(l *slog.Logger) { l.InfoContext(ctx, "hi", "run_id", "run-2") }, `level=INFO msg=hi run_id=run-2 request_id=req-1 user_id=user-1`},
		"logger": {func(l *slog.Logger) { l.With("user_id", "user-2").InfoContext(ctx, "hi") }, `level=INFO msg=hi user_id=user-2 request_id=req-1 run_id=run-1`},
		"trace": {
			func(l *slog.Logger) {
				l.InfoContext(trace.ContextWithSpanContext(t.Context(), span), "hi")
			}, `level=INFO msg=hi trace_id=01000000000000000000000000000000 span_id=0200000000000000`,
		},
		"injected": {func(l *slog.Logger) { l.InfoContext(ctx, "hi\nlevel=ERROR", "path", "/\r\nlevel=ERROR") }, `level=INFO msg="hi\nlevel=ERROR" path="/\r\nlevel=ERROR" request_id=req-1 run_id=run-1 user_id=user-1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			tt.log(slog.New(NewLogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTime}))))
			if got := strings.TrimSuffix(out.String(), "\n"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// off returns a Traces without an endpoint.
func off(t *testing.T) *Traces {
	t.Helper()
	traces, err := OpenTraces(t.Context(), func(string) string { return "" }, "1", slog.New(slog.DiscardHandler))
	if err != nil || traces.On {
		t.Fatalf("OpenTraces without variables = %v, %v, want tracing off", traces, err)
	}
	return traces
}

func TestOpenTraces(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env  map[string]string
		on   bool
		fail string
	}{
		"unset":    {map[string]string{}, false, ""},
		"endpoint": {map[string]string{endpoint: "http://127.0.0.1:1"}, true, ""},
		"traces":   {map[string]string{tracesEndpoint: "http://127.0.0.1:1/x"}, true, ""},
		"disabled": {map[string]string{endpoint: "http://127.0.0.1:1", disabled: "true"}, false, ""},
		"none":     {map[string]string{endpoint: "http://127.0.0.1:1", exporter: "none"}, false, ""},
		"grpc":     {map[string]string{endpoint: "http://127.0.0.1:1", protocol: "grpc"}, false, "http/protobuf"},
		"zipkin":   {map[string]string{endpoint: "http://127.0.0.1:1", exporter: "zipkin"}, false, "otlp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traces, err := OpenTraces(t.Context(), func(name string) string { return tt.env[name] },
				"1", slog.New(slog.DiscardHandler))
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) {
					t.Errorf("error %v, want one that contains %q", err, tt.fail)
				}
				return
			}
			if err != nil || traces.On != tt.on {
				t.Fatalf("OpenTraces = %v, %v, want On = %t", traces, err, tt.on)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_ = traces.Close(ctx) // nothing listens at the endpoint
		})
	}
}
