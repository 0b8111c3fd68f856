package pluginhost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// listTimeout is the maximum time for a provider to list its models.
	listTimeout = 5 * time.Second
	// relistAfter is the minimum interval between two requests for a provider's
	// models, if the model was not listed or the request failed.
	relistAfter = 5 * time.Second
	// maxRoutes limits the number of cached routes.
	maxRoutes = 1024
	// maxListedModels limits the number of models that an error lists.
	maxListedModels = 20
	// modelField is the field of an agent that holds the model's name.
	modelField = "config.model"
)

// route is the result of resolving a model's name.
type route struct {
	plugin *supervisor
	// model is the name that the provider uses.
	model string
	// until is the time at which the route expires. It is zero for a route that depends
	// only on plugins.hcl.
	until time.Time
}

// routes caches the routes of models, because every completion needs one.
type routes struct {
	mu      sync.RWMutex
	byModel map[string]route
}

func (r *routes) get(model string) (route, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	to, ok := r.byModel[model]
	return to, ok && (to.until.IsZero() || time.Now().Before(to.until))
}

func (r *routes) put(model string, to route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byModel == nil || len(r.byModel) >= maxRoutes {
		r.byModel = map[string]route{}
	}
	r.byModel[model] = to
}

// resolve finds the provider of a model. It tries label/model first, then the first
// block with a matching pattern, then the first provider that lists the model. It fails
// with Invalid for field if there is none. It fails with Unavailable if a provider
// without patterns, which may serve any model, cannot list its models.
func (r *registry) resolve(ctx context.Context, field, model string) (route, error) {
	if to, ok := r.resolveCached(ctx, model); ok {
		return to, nil
	}
	lists := r.listAll(func(s *supervisor) ([]llm.Model, error) { return s.listModels(ctx, relistAfter) })
	if err := ctx.Err(); err != nil {
		return route{}, err
	}
	var down []string
	for i, l := range lists {
		if l.contains(model) {
			return r.remember(model, r.providers[i]), nil
		}
		if l.err != nil && len(r.providers[i].block.Models) == 0 {
			down = append(down, fmt.Sprintf("%s (%s)", r.providers[i].block.Label, reason(l.err)))
		}
	}
	if len(down) > 0 {
		return route{}, core.Unavailable("The provider of model %q is unknown, because some providers did not list their "+
			"models: %s. Name the provider as label/model, or fix the provider.", model, strings.Join(down, ", "))
	}
	return route{}, r.unknownModel(field, model, lists)
}

// resolveCached resolves a model without calling a plugin.
func (r *registry) resolveCached(ctx context.Context, model string) (route, bool) {
	if to, ok := r.routes.get(model); ok {
		return to, true
	}
	if to, ok := r.resolveConfigured(model); ok {
		r.routes.put(model, to)
		return to, true
	}
	for _, s := range r.providers {
		l := s.cachedModels(ctx)
		if l.contains(model) {
			return r.remember(model, s), true
		}
		if l.at.IsZero() && s.liveInstance() != nil {
			break // its models are unknown, and it precedes the other providers
		}
	}
	return route{}, false
}

// resolveConfigured resolves a model from plugins.hcl alone.
func (r *registry) resolveConfigured(model string) (route, bool) {
	if label, rest, found := strings.Cut(model, "/"); found && rest != "" {
		if s := findLabel(r.providers, label); s != nil {
			return route{plugin: s, model: rest}, true
		}
	}
	for _, s := range r.providers {
		if model != "" && s.block.Serves(model) {
			return route{plugin: s, model: model}, true
		}
	}
	return route{}, false
}

func (r *registry) remember(model string, s *supervisor) route {
	to := route{plugin: s, model: model, until: time.Now().Add(s.timing.ModelsFresh)}
	r.routes.put(model, to)
	return to
}

// listAll calls list for all providers concurrently and returns the results in their order.
func (r *registry) listAll(list func(*supervisor) ([]llm.Model, error)) []modelListing {
	out := make([]modelListing, len(r.providers))
	var wg sync.WaitGroup
	for i, s := range r.providers {
		wg.Go(func() { out[i].models, out[i].err = list(s) })
	}
	wg.Wait()
	return out
}

func (r *registry) unknownModel(field, model string, lists []modelListing) error {
	if len(r.providers) == 0 {
		return core.Invalid(field, "Model %q is not available, because no LLM provider is enabled.%s",
			model, r.enableHints(model))
	}
	var names []string
	for i, l := range lists {
		for _, m := range l.models {
			names = append(names, r.providers[i].block.Label+"/"+m.ID)
		}
		for _, p := range r.providers[i].block.Models {
			if l.contains(p) {
				continue
			}
			names = append(names, p+" ("+r.providers[i].block.Label+")")
		}
	}
	if more := len(names) - maxListedModels; more > 0 {
		names = append(names[:maxListedModels], fmt.Sprintf("and %d more (see GET /v1/models)", more))
	}
	return core.Invalid(field, "Model %q is not available. Available models: %s.%s",
		model, joined(names), r.enableHints(model))
}

// enableHints returns a sentence for each disabled llm plugin that would serve the model, which describes how to enable
// it. If none is known to serve the model, it returns those of all disabled llm plugins.
func (r *registry) enableHints(model string) string {
	label, _, named := strings.Cut(model, "/")
	var disabled, serving []*config.Block
	for _, p := range r.plugins {
		b := p.block
		if b.Kind != llm.Kind || b.Enabled {
			continue
		}
		disabled = append(disabled, b)
		if named && b.Label == label || b.WouldServe(model) {
			serving = append(serving, b)
		}
	}
	if len(serving) > 0 {
		disabled = serving
	}
	var hints strings.Builder
	for _, b := range disabled {
		if b.EnableVariable != "" {
			fmt.Fprintf(&hints, " To enable %s, start the server with %s.", providerName(b), b.EnableVariable)
			continue
		}
		fmt.Fprintf(&hints, " To enable %s, set enabled = true in its block in plugins.hcl and reload plugins.", b.Name())
	}
	return hints.String()
}

// providerNames are the names of the companies and products behind the labels of the plugins.hcl that ships.
var providerNames = map[string]string{
	"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini", "ollama": "Ollama",
}

// providerName returns the name by which users know a provider.
func providerName(b *config.Block) string { return cmp.Or(providerNames[b.Label], b.Name()) }

// reason returns the message of an error without its type.
func reason(err error) string {
	var ce *core.Error
	var se *sdk.Error
	switch {
	case errors.As(err, &ce):
		return ce.Message
	case errors.As(err, &se):
		return se.Message
	}
	return err.Error()
}

// modelListing is the result of listing a provider's models.
type modelListing struct {
	models []llm.Model
	err    error
	at     time.Time
	// inst is the process that returned it.
	inst *instance
}

func (l modelListing) contains(model string) bool {
	for _, m := range l.models {
		if m.ID == model {
			return true
		}
	}
	return false
}

// modelList is the last listing of a provider. It is kept across restarts, because the next
// process most likely lists the same models.
type modelList struct {
	mu   sync.Mutex
	last modelListing
	// pending is closed when the current request has finished; nil if there is none.
	pending chan struct{}
}

// cachedModels returns the last listing. If it is too old or from an earlier process, a
// new one is requested in the background.
func (s *supervisor) cachedModels(ctx context.Context) modelListing {
	s.models.mu.Lock()
	defer s.models.mu.Unlock()
	l := s.models.last
	live := s.liveInstance()
	if l.models != nil && live != nil && (live != l.inst || time.Since(l.at) > s.timing.ModelsFresh) {
		s.fetchModels(ctx, live)
	}
	return l
}

// refreshModels requests a listing in the background, unless the last request was recent.
func (s *supervisor) refreshModels(ctx context.Context) {
	s.models.mu.Lock()
	defer s.models.mu.Unlock()
	l := s.models.last
	if live := s.liveInstance(); live != nil && (live != l.inst || time.Since(l.at) > relistAfter) {
		s.fetchModels(ctx, live)
	}
}

// listModels returns a list that is not older than age, and requests one if necessary.
func (s *supervisor) listModels(ctx context.Context, age time.Duration) ([]llm.Model, error) {
	i, err := s.waitReady(ctx)
	if err != nil {
		return nil, err
	}
	s.models.mu.Lock()
	if l := s.models.last; l.inst == i && time.Since(l.at) <= age {
		s.models.mu.Unlock()
		return l.models, l.err
	}
	done := s.fetchModels(ctx, i)
	s.models.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.models.mu.Lock()
	defer s.models.mu.Unlock()
	return s.models.last.models, s.models.last.err
}

// fetchModels starts one request for all callers, or joins the current one. The request
// does not end with the first caller's ctx. The caller holds the lock.
func (s *supervisor) fetchModels(ctx context.Context, i *instance) <-chan struct{} {
	if s.models.pending != nil {
		return s.models.pending
	}
	done := make(chan struct{})
	s.models.pending = done
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTimeout)
		defer cancel()
		models, err := i.listModels(ctx)
		s.models.mu.Lock()
		defer s.models.mu.Unlock()
		if err != nil {
			models = s.models.last.models // an old list is better than none
		}
		if err != nil && !errors.Is(err, errRetired) {
			s.logger.WarnContext(ctx, "listing models failed", "error", err)
		}
		s.models.last = modelListing{models: models, err: err, at: time.Now(), inst: i}
		s.models.pending = nil
		close(done)
	}()
	return done
}

// listModels calls the process. It fails with errRetired if the plugin is retired.
func (i *instance) listModels(ctx context.Context) ([]llm.Model, error) {
	if !i.calls.begin() {
		return nil, errRetired
	}
	defer i.calls.end() // not i.end, because this is not the call of a run
	return call(ctx, i, listTimeout, i.provider.ListModels)
}

// Supports reports whether the model is known to have the capability. It returns true when
// the provider does not say, or does not list the model. It never waits: a list that was not
// fetched yet is fetched in the background.
func (h *Host) Supports(ctx context.Context, model, capability string) bool {
	to, ok := h.registry.Load().resolveCached(ctx, model)
	if !ok {
		return true
	}
	l := to.plugin.cachedModels(ctx)
	if l.models == nil {
		to.plugin.refreshModels(ctx)
	}
	for _, m := range l.models {
		if m.ID == to.model {
			return len(m.Capabilities) == 0 || slices.Contains(m.Capabilities, capability)
		}
	}
	return true
}
