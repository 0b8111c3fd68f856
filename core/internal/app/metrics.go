package app

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/agentarea/agentarea/core"
)

// metricsPath is where Prometheus reads.
const metricsPath = "/metrics"

// metrics serves the server's own figures and those of its plugins, to anybody who
// reaches it: they name plugins, and no user, agent or secret.
func (a *App) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		pluginMetrics{a.plugins.Plugins},
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// pluginMetrics are the plugins as they stand when somebody reads.
type pluginMetrics struct{ plugins func() []core.Plugin }

var (
	pluginLabels   = []string{"kind", "label"}
	pluginUp       = prometheus.NewDesc("agentarea_plugin_up", "Whether the plugin's process serves.", pluginLabels, nil)
	pluginState    = prometheus.NewDesc("agentarea_plugin_state", "1 for the state that the plugin is in.", append(pluginLabels, "state"), nil)
	pluginRestarts = prometheus.NewDesc("agentarea_plugin_restarts_total", "How often the plugin's process was started again.", pluginLabels, nil)
	pluginGen      = prometheus.NewDesc("agentarea_plugin_generation", "The reload that made the plugin's process.", pluginLabels, nil)
	pluginMemory   = prometheus.NewDesc("agentarea_plugin_memory_bytes", "Resident memory of the plugin's process and its children.", pluginLabels, nil)
)

// Describe implements prometheus.Collector.
func (pluginMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pluginUp, pluginState, pluginRestarts, pluginGen, pluginMemory} {
		out <- d
	}
}

// Collect implements prometheus.Collector. Disabled plugins are none.
func (m pluginMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, p := range m.plugins() {
		if p.State == core.PluginDisabled {
			continue
		}
		up := 0.0
		if p.State == core.PluginRunning {
			up = 1
		}
		gauge(pluginUp, up, p.Kind, p.Label)
		gauge(pluginState, 1, p.Kind, p.Label, string(p.State))
		gauge(pluginGen, float64(p.Generation), p.Kind, p.Label)
		gauge(pluginMemory, float64(p.Memory), p.Kind, p.Label)
		out <- prometheus.MustNewConstMetric(pluginRestarts, prometheus.CounterValue, float64(p.Restarts), p.Kind, p.Label)
	}
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
