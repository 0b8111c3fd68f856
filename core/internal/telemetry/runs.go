package telemetry

import (
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// chat is gen_ai's name for what completions do.
const chat = "chat"

const (
	// maxModels is how many models have a name in the metrics: what an agent asks for is
	// its user's to write, and some providers take any name.
	maxModels  = 100
	otherModel = "other"
)

// RunStarted implements run.Metrics.
func (m *Metrics) RunStarted(kind core.RunKind) {
	m.runsStarted.WithLabelValues(string(kind)).Inc()
	m.runsActive.WithLabelValues(string(kind)).Inc()
}

// RunEnded implements run.Metrics.
func (m *Metrics) RunEnded(kind core.RunKind, status string, took time.Duration) {
	m.runsActive.WithLabelValues(string(kind)).Dec()
	m.runsEnded.WithLabelValues(string(kind), status).Inc()
	m.runDuration.WithLabelValues(string(kind)).Observe(took.Seconds())
}

// FirstToken implements run.Metrics.
func (m *Metrics) FirstToken(kind core.RunKind, after time.Duration) {
	m.firstToken.WithLabelValues(string(kind)).Observe(after.Seconds())
}

// TaskBegun implements run.Metrics.
func (m *Metrics) TaskBegun(p core.TaskPriority, waited time.Duration) {
	m.taskWait.WithLabelValues(priority(p)).Observe(max(waited, 0).Seconds())
}

// Completion implements run.Metrics. A model gets a name of its own when it has answered.
func (m *Metrics) Completion(provider, model string, took, first time.Duration, usage sdk.Usage, failure sdk.ErrorCode) {
	model = m.models.name(model, failure == "")
	m.completions.WithLabelValues(chat, provider, model, knownCode(failure)).Observe(took.Seconds())
	if first > 0 {
		m.firstChunk.WithLabelValues(chat, provider, model).Observe(first.Seconds())
	}
	if failure == "" {
		m.tokens.WithLabelValues(chat, provider, model, "input").Observe(float64(usage.InputTokens))
		m.tokens.WithLabelValues(chat, provider, model, "output").Observe(float64(usage.OutputTokens))
	}
}

// CompletionRetried implements run.Metrics and pluginhost.Metrics.
func (m *Metrics) CompletionRetried(provider string) { m.retries.WithLabelValues(provider).Inc() }

// ToolCall implements run.Metrics.
func (m *Metrics) ToolCall(outcome string, took time.Duration) {
	m.tools.WithLabelValues(outcome).Observe(took.Seconds())
}

// PluginCall implements pluginhost.Metrics.
func (m *Metrics) PluginCall(kind, label, method, code string, took time.Duration) {
	m.pluginCalls.WithLabelValues(kind, label, method, code).Observe(took.Seconds())
}

// WriteBatch implements storage.Metrics.
func (m *Metrics) WriteBatch(writes int, waited, took time.Duration, rolledBack bool) {
	outcome := "committed"
	if rolledBack {
		outcome = "rolled_back"
	}
	m.writeBatch.Observe(float64(writes))
	m.writeWait.Observe(waited.Seconds())
	m.writeCommit.WithLabelValues(outcome).Observe(took.Seconds())
}

// knownCode keeps what a plugin made up out of labels.
func knownCode(c sdk.ErrorCode) string {
	switch c {
	case "", sdk.CodeRateLimited, sdk.CodeUnavailable, sdk.CodeTimeout, sdk.CodeUnauthorized, sdk.CodeInvalidRequest, sdk.CodeNotFound,
		sdk.CodeContentFilter, sdk.CodeContextTooLong, sdk.CodeInternal, sdk.CodePluginCrashed, sdk.CodeNondeterministic,
		sdk.CodeCancelled, sdk.CodeMaxSteps, sdk.CodeNoSpace:
		return string(c)
	}
	return "_OTHER"
}

func priority(p core.TaskPriority) string {
	switch p {
	case core.PriorityHigh:
		return "high"
	case core.PriorityLow:
		return "low"
	case core.PriorityMedium:
	}
	return "medium"
}

// boundedNames lets so many names be labels, and no more.
type boundedNames struct {
	most int
	mu   sync.RWMutex
	seen map[string]struct{}
}

// name gives the name, or other for one too many. Only good ones are added.
func (b *boundedNames) name(name string, good bool) string {
	b.mu.RLock()
	_, known := b.seen[name]
	b.mu.RUnlock()
	if known {
		return name
	}
	if !good {
		return otherModel
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = map[string]struct{}{}
	}
	if len(b.seen) >= b.most {
		return otherModel
	}
	b.seen[name] = struct{}{}
	return name
}
