package telemetry

import (
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// chat is the operation name of completions in the gen_ai conventions.
const chat = "chat"

const (
	// maxModels is the maximum number of model names in labels. Users choose the names, and some providers
	// accept any name.
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
	m.taskWait.WithLabelValues(p.String()).Observe(max(waited, 0).Seconds())
}

// Completion implements run.Metrics. A model gets its own label after its first successful completion.
func (m *Metrics) Completion(
	provider, model string, took, first time.Duration, usage sdk.Usage, failure sdk.ErrorCode,
) {
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

// knownCode returns the code, or _OTHER for a code that a plugin invented.
func knownCode(c sdk.ErrorCode) string {
	switch c {
	case "", sdk.CodeRateLimited, sdk.CodeUnavailable, sdk.CodeTimeout, sdk.CodeUnauthorized, sdk.CodeInvalidRequest,
		sdk.CodeNotFound,
		sdk.CodeContentFilter, sdk.CodeContextTooLong, sdk.CodeInternal, sdk.CodePluginCrashed, sdk.CodeNondeterministic,
		sdk.CodeCancelled, sdk.CodeMaxSteps, sdk.CodeNoSpace, sdk.CodeAgentConfig:
		return string(c)
	}
	return "_OTHER"
}

// boundedNames limits the number of names that become labels.
type boundedNames struct {
	max  int
	mu   sync.RWMutex
	seen map[string]struct{}
}

// name returns the name, or otherModel if there are too many names. It adds new names only if good is true.
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
	if len(b.seen) >= b.max {
		return otherModel
	}
	b.seen[name] = struct{}{}
	return name
}
