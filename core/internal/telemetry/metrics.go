package telemetry

import (
	"crypto/subtle"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Buckets of the histograms. Durations are in seconds.
var (
	// requestBuckets are the buckets that OpenTelemetry recommends for HTTP, and two more for the responses
	// of models.
	requestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120}
	// modelBuckets are the buckets that OpenTelemetry recommends for gen_ai.
	modelBuckets = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	runBuckets   = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}
	callBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}
	writeBuckets = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	// tokenBuckets are the buckets that OpenTelemetry recommends for tokens.
	tokenBuckets = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304}
	batchBuckets = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

// Metrics records the metrics of the server. It implements the Metrics interfaces of the other packages and is
// safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	register func(...prometheus.Collector)

	requests    *prometheus.HistogramVec
	active      prometheus.Gauge
	limited     prometheus.Counter
	streams     *prometheus.GaugeVec
	signIns     *prometheus.CounterVec
	runsStarted *prometheus.CounterVec
	runsEnded   *prometheus.CounterVec
	runsActive  *prometheus.GaugeVec
	runDuration *prometheus.HistogramVec
	firstToken  *prometheus.HistogramVec
	taskWait    *prometheus.HistogramVec
	completions *prometheus.HistogramVec
	firstChunk  *prometheus.HistogramVec
	tokens      *prometheus.HistogramVec
	retries     *prometheus.CounterVec
	tools       *prometheus.HistogramVec
	pluginCalls *prometheus.HistogramVec
	writeBatch  prometheus.Histogram
	writeCommit *prometheus.HistogramVec
	writeWait   prometheus.Histogram
	fileBytes   *prometheus.CounterVec
	models      boundedNames
}

// NewMetrics returns the metrics of a server of that version. Watch adds the gauges of its state.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), models: boundedNames{max: maxModels}}
	m.register = m.registry.MustRegister
	m.register(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(version))

	m.requests = m.histograms("http_server_request_duration_seconds",
		"Duration of HTTP requests, from the first received byte to the last sent byte.",
		requestBuckets, "http_request_method", "http_route", "http_response_status_code")
	m.active = m.gauges("http_server_active_requests", "HTTP requests in progress.").WithLabelValues()
	m.limited = m.counters("agentarea_rate_limited_requests_total",
		"HTTP requests rejected with status 429.").WithLabelValues()
	m.streams = m.gauges("agentarea_streams_open", "Open server-sent event streams and WebSockets.", "kind")
	m.signIns = m.counters("agentarea_sign_ins_total", "Sign-in attempts with a password.", "outcome")

	m.runsStarted = m.counters("agentarea_runs_started_total",
		"Runs started on this server, including runs resumed from other servers.", "kind")
	m.runsEnded = m.counters("agentarea_runs_ended_total",
		"Runs ended on this server by status. deferred: the task waits for another attempt. left: another server "+
			"resumes the run.", "kind", "status")
	m.runsActive = m.gauges("agentarea_runs_active", "Runs in progress on this server.", "kind")
	m.runDuration = m.histograms("agentarea_run_duration_seconds",
		"Time from the start of a run to its end on this server.", runBuckets, "kind")
	m.firstToken = m.histograms("agentarea_run_time_to_first_token_seconds",
		"Time from the start of a run to its first token.", runBuckets, "kind")
	m.taskWait = m.histograms("agentarea_task_queue_time_seconds", "Time from when a task is due to its first attempt.",
		runBuckets, "priority")

	m.completions = m.histograms("gen_ai_client_operation_duration_seconds", "Duration of completions, including retries.",
		modelBuckets, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type")
	m.firstChunk = m.histograms("gen_ai_client_operation_time_to_first_chunk_seconds",
		"Time from the request of a completion to its first chunk.",
		modelBuckets, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
	m.tokens = m.histograms("gen_ai_client_token_usage", "Tokens of a completion as counted by the provider.",
		tokenBuckets, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type")
	m.retries = m.counters("agentarea_completion_retries_total", "Retries of completions.", "provider")
	m.tools = m.histograms("gen_ai_execute_tool_duration_seconds", "Duration of tool calls.", modelBuckets, "outcome")

	m.pluginCalls = m.histograms("agentarea_plugin_call_duration_seconds",
		"Duration of calls to plugins. For a stream, the time until it ends.",
		callBuckets, "kind", "label", "method", "code")
	m.writeBatch = m.histograms("agentarea_database_batch_writes", "Number of writes in a commit.",
		batchBuckets).WithLabelValues().(prometheus.Histogram)
	m.writeCommit = m.histograms("agentarea_database_batch_duration_seconds",
		"Time from the start of a write transaction to the end of its commit.", writeBuckets, "outcome")
	m.writeWait = m.histograms("agentarea_database_write_wait_seconds", "Time that the first write of a batch waited.",
		writeBuckets).WithLabelValues().(prometheus.Histogram)
	m.fileBytes = m.counters("agentarea_file_bytes_total", "Bytes of uploaded (up) and downloaded (down) files.",
		"direction")
	return m
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.register(v)
	return v
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.register(v)
	return v
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.register(v)
	return v
}

// buildInfo returns the gauge agentarea_build_info.
func buildInfo(version string) prometheus.Collector {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "agentarea_build_info", Help: "1, with the build of the server as labels.",
	}, []string{"version", "revision", "go_version"})
	g.WithLabelValues(version, revision, runtime.Version()).Set(1)
	return g
}

// Handler returns a handler that serves the metrics. If token is not empty, requests must have it as their
// bearer token.
func (m *Metrics) Handler(token string) http.Handler {
	serve := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	if token == "" {
		return serve
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") ||
			subtle.ConstantTimeCompare([]byte(strings.TrimSpace(sent)), []byte(token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="agentarea metrics"`)
			http.Error(w, "Unauthorized: send AGENTAREA_METRICS_TOKEN as Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		serve.ServeHTTP(w, r)
	})
}

func since(t time.Time) float64 { return time.Since(t).Seconds() }
