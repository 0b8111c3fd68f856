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

// maxModelsBytes is the maximum size of the list of models. A list of many empty models takes about 50 times as much
// memory.
const maxModelsBytes = 4 << 20

// nonChatModel matches the models in OpenAI's list that do not support chat.
var nonChatModel = regexp.MustCompile(
	`embedding|whisper|tts|dall-e|image|moderation|sora|realtime|transcribe|davinci|babbage|instruct`,
)

// fetchModels requests the server's list of models.
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
			// OpenRouter uses context_length, vLLM uses max_model_len.
			ContextLength int64 `json:"context_length"`
			MaxModelLen   int64 `json:"max_model_len"`
		} `json:"data"`
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxModelsBytes))
	if err == nil && json.Unmarshal(b, &list) != nil {
		err = errMalformed
	}
	if err != nil {
		return nil, c.wrapProviderError(err)
	}
	models := make([]llm.Model, 0, len(list.Data))
	for _, m := range list.Data {
		if p.isOpenAI && nonChatModel.MatchString(m.ID) {
			continue
		}
		models = append(models, llm.Model{ID: m.ID, DisplayName: m.Name, ContextWindow: max(m.ContextLength, m.MaxModelLen)})
	}
	return models, nil
}
