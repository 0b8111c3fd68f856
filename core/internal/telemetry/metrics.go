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

// Buckets of durations, in seconds.
var (
	// requestBuckets are those that OpenTelemetry advises for HTTP, and two more for answers of
	// models.
	requestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120}
	// modelBuckets are those that it advises for gen_ai.
	modelBuckets = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	runBuckets   = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}
	callBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}
	writeBuckets = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	// tokenBuckets are those that OpenTelemetry advises.
	tokenBuckets = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304}
	batchBuckets = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

// Metrics counts. It is the Metrics of every room.
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

// NewMetrics makes the server's metrics. Watch adds the states of what it runs.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), models: boundedNames{most: maxModels}}
	m.register = m.registry.MustRegister
	m.register(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(version))

	m.requests = m.histograms("http_server_request_duration_seconds", "Duration of HTTP requests, from the first byte that came to the last that went.",
		requestBuckets, "http_request_method", "http_route", "http_response_status_code")
	m.active = m.gauges("http_server_active_requests", "HTTP requests under way.").WithLabelValues()
	m.limited = m.counters("agentarea_rate_limited_requests_total", "HTTP requests that were refused with status 429.").WithLabelValues()
	m.streams = m.gauges("agentarea_streams_open", "Connections that watch: server-sent events and WebSockets.", "kind")
	m.signIns = m.counters("agentarea_sign_ins_total", "Attempts to sign in with a password.", "outcome")

	m.runsStarted = m.counters("agentarea_runs_started_total", "Runs that began here, those of other servers that were taken up among them.", "kind")
	m.runsEnded = m.counters("agentarea_runs_ended_total", "Runs that ended here, by their status; deferred is a task's that waits for another attempt, left one that another server takes up.", "kind", "status")
	m.runsActive = m.gauges("agentarea_runs_active", "Runs under way here.", "kind")
	m.runDuration = m.histograms("agentarea_run_duration_seconds", "From the start of a run to its end, as long as it was here.", runBuckets, "kind")
	m.firstToken = m.histograms("agentarea_run_time_to_first_token_seconds", "From the start of a run to the first token of it that was shown.", runBuckets, "kind")
	m.taskWait = m.histograms("agentarea_task_queue_time_seconds", "From when a task could be begun to its first attempt.", runBuckets, "priority")

	m.completions = m.histograms("gen_ai_client_operation_duration_seconds", "Duration of completions, their retries included.",
		modelBuckets, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type")
	m.firstChunk = m.histograms("gen_ai_client_operation_time_to_first_chunk_seconds", "From the request for a completion to the first piece of it.",
		modelBuckets, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
	m.tokens = m.histograms("gen_ai_client_token_usage", "Tokens of a completion, as the provider counts them.",
		tokenBuckets, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type")
	m.retries = m.counters("agentarea_completion_retries_total", "Completions that were asked again.", "provider")
	m.tools = m.histograms("gen_ai_execute_tool_duration_seconds", "Duration of tool calls.", modelBuckets, "outcome")

	m.pluginCalls = m.histograms("agentarea_plugin_call_duration_seconds", "Duration of calls of plugins: for a stream until it ends.",
		callBuckets, "kind", "label", "method", "code")
	m.writeBatch = m.histograms("agentarea_database_batch_writes", "Writes that one commit made durable.", batchBuckets).WithLabelValues().(prometheus.Histogram)
	m.writeCommit = m.histograms("agentarea_database_batch_duration_seconds", "From the begin of a transaction of writes to the end of its commit.", writeBuckets, "outcome")
	m.writeWait = m.histograms("agentarea_database_write_wait_seconds", "How long the first write of a batch waited for its turn.", writeBuckets).WithLabelValues().(prometheus.Histogram)
	m.fileBytes = m.counters("agentarea_file_bytes_total", "Bytes of files that came (up) and went (down).", "direction")
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

func buildInfo(version string) prometheus.Collector {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "agentarea_build_info", Help: "1, with what the server is."}, []string{"version", "revision", "go_version"})
	g.WithLabelValues(version, revision, runtime.Version()).Set(1)
	return g
}

// Handler serves the metrics. With a token it wants that as a bearer token.
func (m *Metrics) Handler(token string) http.Handler {
	serve := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	if token == "" {
		return serve
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(sent)), []byte(token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="agentarea metrics"`)
			http.Error(w, "Send AGENTAREA_METRICS_TOKEN as Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		serve.ServeHTTP(w, r)
	})
}

func since(t time.Time) float64 { return time.Since(t).Seconds() }
