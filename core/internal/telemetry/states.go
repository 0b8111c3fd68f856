package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agentarea/agentarea/core"
)

const (
	// backlogFresh is how old the count of tasks that wait may be: whoever reads the
	// metrics in a loop does not read the database in one.
	backlogFresh = 5 * time.Second
	// backlogTime is how long the database may take to count.
	backlogTime = 2 * time.Second
)

// States are read when somebody reads the metrics.
type States struct {
	Plugins func() []core.Plugin
	// MCPServers counts the servers that this one runs, or ran, by what they do.
	MCPServers func() map[core.MCPStatus]int
	// Backlog counts the tasks that wait.
	Backlog func(ctx context.Context, now time.Time) ([]core.TaskBacklog, error)
}

// Watch has the metrics tell of the states, too.
func (m *Metrics) Watch(s States) { m.register(&states{States: s}) }

type states struct {
	States
	mu      sync.Mutex
	counted time.Time
	backlog []core.TaskBacklog
	fails   bool
}

var (
	pluginLabels   = []string{"kind", "label"}
	pluginUp       = prometheus.NewDesc("agentarea_plugin_up", "Whether the plugin's process serves.", pluginLabels, nil)
	pluginState    = prometheus.NewDesc("agentarea_plugin_state", "1 for the state that the plugin is in.", []string{"kind", "label", "state"}, nil)
	pluginRestarts = prometheus.NewDesc("agentarea_plugin_restarts_total", "How often the plugin's process was started again.", pluginLabels, nil)
	pluginGen      = prometheus.NewDesc("agentarea_plugin_generation", "The reload that made the plugin's process.", pluginLabels, nil)
	pluginMemory   = prometheus.NewDesc("agentarea_plugin_memory_bytes", "Resident memory of the plugin's process and its children.", pluginLabels, nil)
	mcpServers     = prometheus.NewDesc("agentarea_mcp_servers", "MCP servers of this one, by status.", []string{"status"}, nil)
	tasksWaiting   = prometheus.NewDesc("agentarea_tasks_waiting", "Tasks in the queue, of all servers on the database; deferred ones wait for another attempt.", []string{"priority", "status"}, nil)
)

// Describe implements prometheus.Collector.
func (*states) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		pluginUp, pluginState, pluginRestarts, pluginGen, pluginMemory, mcpServers, tasksWaiting,
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
	for _, status := range []core.MCPStatus{core.MCPStopped, core.MCPStarting, core.MCPRunning, core.MCPError, core.MCPStopping} {
		gauge(mcpServers, float64(counts[status]), string(status))
	}
	waiting, ok := s.waiting()
	if !ok {
		return // the database is away, which /health/ready says
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
		gauge(tasksWaiting, float64(due), priority(p), "due")
		gauge(tasksWaiting, float64(deferred), priority(p), "deferred")
	}
}

// collectPlugins leaves disabled ones out.
func (s *states) collectPlugins(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	for _, p := range s.Plugins() {
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

// waiting counts the tasks that wait, or gives the last count while it is fresh.
func (s *states) waiting() ([]core.TaskBacklog, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.counted) < backlogFresh {
		return s.backlog, !s.fails
	}
	ctx, cancel := context.WithTimeout(context.Background(), backlogTime)
	defer cancel()
	var err error
	s.backlog, err = s.Backlog(ctx, now.UTC())
	s.fails, s.counted = err != nil, now
	return s.backlog, !s.fails
}
