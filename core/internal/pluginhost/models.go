package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// listTime is how long a provider may take to list its models.
	listTime = 5 * time.Second
	// listAgain is how soon it is asked again for a model that it did not list,
	// or after it failed.
	listAgain = 5 * time.Second
	// maxRoutes bounds the remembered ways from models to providers.
	maxRoutes = 1024
	// maxNamed is how many models an error names.
	maxNamed = 20
	// modelField is where an agent names its model.
	modelField = "config.model"
)

// route is where a model's name leads.
type route struct {
	plugin *supervisor
	// model is the name as the provider knows it.
	model string
	// until is when the provider's list is looked at again; zero for a route
	// that follows from plugins.hcl alone.
	until time.Time
}

// routes remembers where names lead, because every completion asks.
type routes struct {
	mu    sync.RWMutex
	known map[string]route
}

func (r *routes) get(model string) (route, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	to, ok := r.known[model]
	return to, ok && (to.until.IsZero() || time.Now().Before(to.until))
}

func (r *routes) put(model string, to route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxRoutes {
		r.known = map[string]route{}
	}
	r.known[model] = to
}

// resolve finds the provider of a model: label/model exactly, then the first
// stanza whose patterns match, then the first provider that lists it. It fails
// with Invalid of field, or with Unavailable when one that has no patterns, and
// so may have any model, can't be asked.
func (r *registry) resolve(ctx context.Context, field, model string) (route, error) {
	if to, ok := r.known(ctx, model); ok {
		return to, nil
	}
	lists := r.lists(func(s *supervisor) ([]llm.Model, error) { return s.listModels(ctx, listAgain) })
	if err := ctx.Err(); err != nil {
		return route{}, err
	}
	var down []string
	for i, l := range lists {
		if l.lists(model) {
			return r.remember(model, r.providers[i]), nil
		}
		if l.err != nil && len(r.providers[i].stanza.Models) == 0 {
			down = append(down, fmt.Sprintf("%s (%s)", r.providers[i].stanza.Label, reason(l.err)))
		}
	}
	if len(down) > 0 {
		return route{}, core.Unavailable("The provider of model %q can't be told, because not all can be asked: %s. "+
			"Name the provider (label/model), or mend it", model, strings.Join(down, ", "))
	}
	return route{}, r.unknownModel(field, model, lists)
}

// known resolves a model without asking anybody.
func (r *registry) known(ctx context.Context, model string) (route, bool) {
	if to, ok := r.routes.get(model); ok {
		return to, true
	}
	if to, ok := r.configured(model); ok {
		r.routes.put(model, to)
		return to, true
	}
	for _, s := range r.providers {
		if l := s.lastModels(ctx); l.lists(model) {
			return r.remember(model, s), true
		}
	}
	return route{}, false
}

// configured resolves a model by plugins.hcl alone.
func (r *registry) configured(model string) (route, bool) {
	if label, rest, found := strings.Cut(model, "/"); found && rest != "" {
		if s := labelled(r.providers, label); s != nil {
			return route{plugin: s, model: rest}, true
		}
	}
	for _, s := range r.providers {
		if model != "" && s.stanza.Serves(model) {
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

// lists asks all providers at once, and gives their answers in their order.
func (r *registry) lists(ask func(*supervisor) ([]llm.Model, error)) []listing {
	out := make([]listing, len(r.providers))
	var wg sync.WaitGroup
	for i, s := range r.providers {
		wg.Go(func() { out[i].models, out[i].err = ask(s) })
	}
	wg.Wait()
	return out
}

func (r *registry) unknownModel(field, model string, lists []listing) error {
	if len(r.providers) == 0 {
		return core.Invalid(field, "no model can be used: no llm plugin is enabled in plugins.hcl (for OpenAI's, set OPENAI_API_KEY)")
	}
	var names []string
	for i, l := range lists {
		for _, m := range l.models {
			names = append(names, r.providers[i].stanza.Label+"/"+m.ID)
		}
		for _, p := range r.providers[i].stanza.Models {
			if l.lists(p) {
				continue
			}
			names = append(names, p+" ("+r.providers[i].stanza.Label+")")
		}
	}
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("and %d more (GET /v1/models)", more))
	}
	hint := ""
	label, _, labelled := strings.Cut(model, "/")
	for _, p := range r.plugins {
		if p.stanza.Kind == "llm" && !p.stanza.Enabled && (!labelled || p.stanza.Label == label) {
			hint += fmt.Sprintf("; the llm plugin %q is disabled in plugins.hcl", p.stanza.Label)
		}
	}
	return core.Invalid(field, "no provider serves model %q%s; %s", model, hint, listed(names))
}

// reason is the part of an error that tells why.
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

// listing is a provider's answer.
type listing struct {
	models []llm.Model
	err    error
	at     time.Time
	// of is the process that gave it.
	of *instance
}

func (l listing) lists(model string) bool {
	for _, m := range l.models {
		if m.ID == model {
			return true
		}
	}
	return false
}

// modelList is what a provider listed last. It outlives the process: the next
// one most likely lists the same.
type modelList struct {
	mu   sync.Mutex
	last listing
	// asking closes when the answer that is waited for is there.
	asking chan struct{}
}

// lastModels gives what was listed last, and has a list that is too old, or
// that of an earlier process, asked for anew in the background.
func (s *supervisor) lastModels(ctx context.Context) listing {
	s.models.mu.Lock()
	defer s.models.mu.Unlock()
	l := s.models.last
	live := s.serves()
	if l.models != nil && live != nil && (live != l.of || time.Since(l.at) > s.timing.ModelsFresh) {
		s.askModels(ctx, live)
	}
	return l
}

// wantModels has the models listed in the background, unless that failed just now.
func (s *supervisor) wantModels(ctx context.Context) {
	s.models.mu.Lock()
	defer s.models.mu.Unlock()
	l := s.models.last
	if live := s.serves(); live != nil && (live != l.of || time.Since(l.at) > listAgain) {
		s.askModels(ctx, live)
	}
}

// listModels gives a list that is younger than age, and asks for it if need be.
func (s *supervisor) listModels(ctx context.Context, age time.Duration) ([]llm.Model, error) {
	i, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	s.models.mu.Lock()
	if l := s.models.last; l.of == i && time.Since(l.at) <= age {
		s.models.mu.Unlock()
		return l.models, l.err
	}
	answer := s.askModels(ctx, i)
	s.models.mu.Unlock()
	select {
	case <-answer:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.models.mu.Lock()
	defer s.models.mu.Unlock()
	return s.models.last.models, s.models.last.err
}

// askModels asks once for all who wait, so it does not end with the first one's
// ctx. The caller holds the lock.
func (s *supervisor) askModels(ctx context.Context, i *instance) <-chan struct{} {
	if s.models.asking != nil {
		return s.models.asking
	}
	answer := make(chan struct{})
	s.models.asking = answer
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTime)
		defer cancel()
		models, err := i.listModels(ctx)
		s.models.mu.Lock()
		defer s.models.mu.Unlock()
		if err != nil {
			models = s.models.last.models // better an old list than none
		}
		if err != nil && !errors.Is(err, errRetired) {
			s.logger.WarnContext(ctx, "plugin does not list its models", "error", err)
		}
		s.models.last = listing{models: models, err: err, at: time.Now(), of: i}
		s.models.asking = nil
		close(answer)
	}()
	return answer
}

// listModels asks the process for its models, unless its plugin is retired.
func (i *instance) listModels(ctx context.Context) ([]llm.Model, error) {
	if !i.calls.begin() {
		return nil, errRetired
	}
	defer i.end()
	models, err := i.provider.ListModels(ctx)
	return models, i.judge(ctx, err)
}

// Supports reports whether the model is known to have the capability. It returns true when
// the provider does not say, or does not list the model. It never waits: a list that was not
// fetched yet is fetched in the background.
func (h *Host) Supports(ctx context.Context, model, capability string) bool {
	to, ok := h.registry.Load().known(ctx, model)
	if !ok {
		return true
	}
	l := to.plugin.lastModels(ctx)
	if l.models == nil {
		to.plugin.wantModels(ctx)
	}
	for _, m := range l.models {
		if m.ID == to.model {
			return len(m.Capabilities) == 0 || slices.Contains(m.Capabilities, capability)
		}
	}
	return true
}
