package agents

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestCreate_invalidConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ agentType, config, field, issue string }{
		"unknown type":      {"chta", `{"model":"gpt-4"}`, "type", `Agent type "chta" does not exist. Agent types: chat, free, down, odd`},
		"unknown model":     {"chat", `{"model":"gpt-5"}`, "config.model", `Model "gpt-5" is not available.`},
		"not an object":     {"chat", `[]`, "config", "Must be an object"},
		"not JSON":          {"chat", `{`, "config", "Must be an object"},
		"no model":          {"chat", `{}`, "config.model", "Field is required"},
		"empty model":       {"chat", `{"model":""}`, "config.model", "Must not be empty"},
		"model of no type":  {"free", `{"model":7}`, "config.model", "Must be a string"},
		"above the maximum": {"chat", `{"model":"gpt-4","temperature":2.5}`, "config.temperature", "Must be at most 2"},
		"below the minimum": {"chat", `{"model":"gpt-4","max_tokens":0}`, "config.max_tokens", "Must be at least 1"},
		"a text":            {"chat", `{"model":"gpt-4","temperature":"hot"}`, "config.temperature", "Must be a number"},
		"a fraction":        {"chat", `{"model":"gpt-4","max_tokens":1.5}`, "config.max_tokens", "Must be an integer"},
		"a number":          {"chat", `{"model":"gpt-4","strict":1}`, "config.strict", "Must be true or false"},
		"item of a list":    {"chat", `{"model":"gpt-4","stop":["a",1]}`, "config.stop[1]", "Must be a string"},
		"too many items":    {"chat", `{"model":"gpt-4","stop":["a","b","c"]}`, "config.stop", "Must contain at most 2 items"},
		"not in the enum":   {"chat", `{"model":"gpt-4","format":"xml"}`, "config.format", "Must be one of: text, json"},
		"misspelled field":  {"chat", `{"model":"gpt-4","temprature":1}`, "config.temprature", `Unknown field "temprature". Did you mean "temperature"?`},
		"unknown field": {
			"chat", `{"model":"gpt-4","colour":1}`, "config.colour",
			`Unknown field "colour". Known fields: format, max_tokens, model, stop, strict, temperature`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			err := e.Create(t.Context(), nil, ann, &core.Agent{Name: "a", Type: c.agentType, Config: json.RawMessage(c.config)})
			var got *core.Error
			if !errors.As(err, &got) || got.Code != core.CodeValidation ||
				got.Fields[0] != (core.FieldError{Field: c.field, Issue: c.issue}) {
				t.Errorf("Create() = %v, want %s: %s", err, c.field, c.issue)
			}
			if len(e.store.agents) > 0 {
				t.Error("Create stored the agent")
			}
		})
	}
}

func TestCreate_configCannotBeChecked(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for _, agentType := range []string{"down", "odd"} {
		err := e.Create(t.Context(), nil, ann, &core.Agent{Name: "a", Type: agentType})
		if core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("Create() of type %s = %v, want %s", agentType, err, core.CodeUnavailable)
		}
	}
}

func TestCreate_withoutAgentTypes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.plugins.types = nil
	if err := e.Create(t.Context(), nil, ann, &core.Agent{Name: "a", Type: "chat"}); fieldOf(err) != "type" {
		t.Errorf("Create() = %v, want Invalid of type", err)
	}
}

func TestCreate_usesTheNewSchemaOfAType(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	create := func() error {
		return e.Create(t.Context(), nil, ann,
			&core.Agent{Name: "a", Type: "chat", Config: json.RawMessage(`{"model":"gpt-4","max_tokens":500}`)})
	}
	if err := create(); err != nil {
		t.Fatalf("Create() = %v", err)
	}
	e.plugins.types[0].ConfigSchema = json.RawMessage(`{"properties":{"max_tokens":{"maximum":100}}}`)
	if err := create(); fieldOf(err) != "config.max_tokens" {
		t.Errorf("Create() = %v with the new schema, want Invalid of config.max_tokens", err)
	}
}

// The time of a check is limited by the number of values, and its result by the number of issues.
func TestCreate_hostileConfig(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	create := func(config string) *core.Error {
		err := e.Create(t.Context(), nil, ann, &core.Agent{Name: "a", Type: "chat", Config: json.RawMessage(config)})
		var got *core.Error
		if !errors.As(err, &got) || got.Code != core.CodeValidation {
			t.Fatalf("Create() = %v, want %s", err, core.CodeValidation)
		}
		return got
	}
	got := create(`{"model":"gpt-4","stop":[1` + strings.Repeat(",1", 200_000) + `]}`)
	want := core.FieldError{Field: "config", Issue: "Must contain at most 10000 values, but contains 200004"}
	if len(got.Fields) != 1 || got.Fields[0] != want {
		t.Errorf("Create() = %v, want %v", got.Fields, want)
	}
	if got := create(`{"model":"gpt-4","stop":[1` + strings.Repeat(",1", 9_000) + `]}`); len(got.Fields) > maxIssues {
		t.Errorf("Create() = %d issues, want at most %d", len(got.Fields), maxIssues)
	}
}

// A check ends with its request.
func TestCreate_cancelled(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for range cap(e.Service.schemas.running) {
		e.Service.schemas.running <- struct{}{} // other checks take long
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := e.Create(ctx, nil, ann, &core.Agent{Name: "a", Type: "chat", Config: json.RawMessage(`{"model":"gpt-4"}`)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Create() = %v, want %v", err, context.Canceled)
	}
}
