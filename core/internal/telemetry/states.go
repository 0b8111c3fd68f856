package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agentarea/agentarea/core"
)

const (
	// backlogMaxAge is the maximum age of the cached task backlog. It limits the queries to the database,
	// however often the metrics are read.
	backlogMaxAge = 5 * time.Second
	// backlogTimeout bounds the query for the backlog.
	backlogTimeout = 2 * time.Second
)

// States are functions that return the current state for gauges. They are called when the metrics are read.
type States struct {
	Plugins func() []core.Plugin
	// MCPServers returns the number of MCP servers of this process by status.
	MCPServers func() map[core.MCPStatus]int
	// Backlog returns the number of waiting tasks.
	Backlog func(ctx context.Context, now time.Time) ([]core.TaskBacklog, error)
}

// Watch adds gauges for the states.
func (m *Metrics) Watch(s States) { m.register(&states{States: s}) }

// states is the collector of the States. It caches the backlog.
type states struct {
	States
	mu      sync.Mutex
	counted time.Time
	backlog []core.TaskBacklog
	failed  bool
}

var (
	pluginLabels = []string{"kind", "label"}
	pluginUp     = prometheus.NewDesc("agentarea_plugin_up", "1 if the plugin is running, otherwise 0.",
		pluginLabels, nil)
	pluginHealthy = prometheus.NewDesc("agentarea_plugin_healthy",
		"1 if the plugin is running and does not report that it is unhealthy, otherwise 0.", pluginLabels, nil)
	pluginState = prometheus.NewDesc("agentarea_plugin_state", "1 for the current state of the plugin.",
		[]string{"kind", "label", "state"}, nil)
	pluginRestarts = prometheus.NewDesc("agentarea_plugin_restarts_total", "Number of restarts of the plugin's process.",
		pluginLabels, nil)
	pluginGen = prometheus.NewDesc("agentarea_plugin_generation",
		"Number of the reload that started the plugin's process.", pluginLabels, nil)
	pluginMemory = prometheus.NewDesc("agentarea_plugin_memory_bytes",
		"Resident memory of the plugin's process and its children.", pluginLabels, nil)
	mcpServers = prometheus.NewDesc("agentarea_mcp_servers", "MCP servers of this server by status.",
		[]string{"status"}, nil)
	tasksWaiting = prometheus.NewDesc("agentarea_tasks_waiting",
		"Tasks in the queue of all servers on the database. Deferred tasks wait for another attempt.",
		[]string{"priority", "status"}, nil)
)

// Describe implements prometheus.Collector.
func (*states) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		pluginUp, pluginHealthy, pluginState, pluginRestarts, pluginGen, pluginMemory, mcpServers, tasksWaiting,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *states) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s.collectPlugins(out, gauge)
	counts := s.MCPServers()
	for _, status := range []core.MCPStatus{
		core.MCPStopped, core.MCPStarting, core.MCPRunning, core.MCPError, core.MCPStopping,
	} {
		gauge(mcpServers, float64(counts[status]), string(status))
	}
	waiting, ok := s.waiting()
	if !ok {
		return // /health/ready reports that the database is down
	}
	for _, p := range []core.TaskPriority{core.PriorityHigh, core.PriorityMedium, core.PriorityLow} {
		var due, deferred int
		for _, b := range waiting {
			switch {
			case b.Priority != p:
			case b.Deferred:
				deferred += b.Tasks
			default:
				due += b.Tasks
			}
		}
		gauge(tasksWaiting, float64(due), p.String(), "due")
		gauge(tasksWaiting, float64(deferred), p.String(), "deferred")
	}
}

// collectPlugins adds the gauges of the enabled plugins.
func (s *states) collectPlugins(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	for _, p := range s.Plugins() {
		if p.State == core.PluginDisabled {
			continue
		}
		running := p.State == core.PluginRunning
		gauge(pluginUp, number(running), p.Kind, p.Label)
		gauge(pluginHealthy, number(running && !p.Unhealthy), p.Kind, p.Label)
		gauge(pluginState, 1, p.Kind, p.Label, string(p.State))
		gauge(pluginGen, float64(p.Generation), p.Kind, p.Label)
		gauge(pluginMemory, float64(p.Memory), p.Kind, p.Label)
		out <- prometheus.MustNewConstMetric(pluginRestarts, prometheus.CounterValue, float64(p.Restarts), p.Kind, p.Label)
	}
}

// number returns 1 for true and 0 for false.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// waiting returns the backlog, from the cache if it is not too old. ok is false if the database fails.
func (s *states) waiting() (backlog []core.TaskBacklog, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.counted) < backlogMaxAge {
		return s.backlog, !s.failed
	}
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	var err error
	s.backlog, err = s.Backlog(ctx, now.UTC())
	s.failed, s.counted = err != nil, now
	return s.backlog, !s.failed
}
