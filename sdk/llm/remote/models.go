package remote

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// modelsTTL is the time for which a list is cached.
const modelsTTL = time.Minute

// Models caches the list of models of a server. Create it with NewModels.
type Models struct {
	// lock guards the fields below. Its holder may fetch the list for all callers. It is a channel so
	// that waiting for it can be cancelled.
	lock    chan struct{}
	models  []llm.Model
	expires time.Time
}

// NewModels returns an empty cache.
func NewModels() *Models { return &Models{lock: make(chan struct{}, 1)} }

// List returns the cached list. If it has expired, List calls fetch. If the configuration names models,
// List returns these instead, with no properties except the ID.
func (m *Models) List(
	ctx context.Context, named []string, fetch func(context.Context) ([]llm.Model, error),
) ([]llm.Model, error) {
	if len(named) > 0 {
		models := make([]llm.Model, len(named))
		for i, id := range named {
			models[i].ID = id
		}
		return models, nil
	}
	select {
	case m.lock <- struct{}{}:
		defer func() { <-m.lock }()
	case <-ctx.Done():
		return nil, &sdk.Error{Code: sdk.CodeCancelled, Message: "the request for the models was cancelled"}
	}
	if time.Now().Before(m.expires) {
		return m.models, nil
	}
	models, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	m.models, m.expires = models, time.Now().Add(modelsTTL)
	return models, nil
}
