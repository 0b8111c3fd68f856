package main

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"time"

	"github.com/agentarea/agentarea/sdk/llm"
)

// modelsLife is how long the server's list is believed.
const modelsLife = time.Minute

// modelCache is the server's list.
type modelCache struct {
	// turn is held by whoever reads or renews the list, so that one asks for all.
	turn   chan struct{}
	models []llm.Model
	until  time.Time
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	if len(p.config.Models) > 0 {
		models := make([]llm.Model, 0, len(p.config.Models))
		for _, id := range p.config.Models {
			models = append(models, llm.Model{ID: id})
		}
		return models, nil
	}
	m := &p.models
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, p.left(ctx)
	}
	if time.Now().Before(m.until) {
		return m.models, nil
	}
	models, err := p.fetchModels(ctx)
	if err != nil {
		return nil, err
	}
	m.models, m.until = models, time.Now().Add(modelsLife)
	return models, nil
}

// notChat matches OpenAI's models that its list has but chat has not.
var notChat = regexp.MustCompile(`embedding|whisper|tts|dall-e|image|moderation|sora|realtime|transcribe|davinci|babbage|instruct`)

func (p *provider) fetchModels(ctx context.Context) ([]llm.Model, error) {
	c := p.newCall(ctx, p.config.Timeout)
	defer c.close()
	res, err := c.listModels()
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	var list struct {
		Data []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
			// OpenRouter's and vLLM's words.
			ContextLength int64 `json:"context_length"`
			MaxModelLen   int64 `json:"max_model_len"`
		} `json:"data"`
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	if err == nil && json.Unmarshal(b, &list) != nil {
		err = errMalformed
	}
	if err != nil {
		return nil, c.failure(err)
	}
	models := make([]llm.Model, 0, len(list.Data))
	for _, m := range list.Data {
		if p.genuine && notChat.MatchString(m.ID) {
			continue
		}
		models = append(models, llm.Model{ID: m.ID, DisplayName: m.Name, ContextWindow: max(m.ContextLength, m.MaxModelLen)})
	}
	return models, nil
}
