package main

import (
	"context"
	"encoding/json"
	"io"
	"regexp"

	"github.com/agentarea/agentarea/sdk/llm"
)

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	return p.models.List(ctx, p.config.Models, p.fetchModels)
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
