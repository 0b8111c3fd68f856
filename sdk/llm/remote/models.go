package remote

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// modelsLife is how long a server's list is believed.
const modelsLife = time.Minute

// Models keeps a server's list of models for a while. It is made by NewModels.
type Models struct {
	// turn is held by whoever reads or renews the list, so that one asks for all.
	turn   chan struct{}
	models []llm.Model
	until  time.Time
}

// NewModels keeps no list yet.
func NewModels() *Models { return &Models{turn: make(chan struct{}, 1)} }

// List gives the list, by fetch when it is not fresh. What a config names instead
// is given as it is.
func (m *Models) List(ctx context.Context, named []string, fetch func(context.Context) ([]llm.Model, error)) ([]llm.Model, error) {
	if len(named) > 0 {
		models := make([]llm.Model, len(named))
		for i, id := range named {
			models[i].ID = id
		}
		return models, nil
	}
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, &sdk.Error{Code: sdk.CodeCancelled, Message: "nobody waits for the list any more"}
	}
	if time.Now().Before(m.until) {
		return m.models, nil
	}
	models, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	m.models, m.until = models, time.Now().Add(modelsLife)
	return models, nil
}
