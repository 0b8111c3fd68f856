package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/configschema"
)

// configSchemas caches the compiled config schema of each agent type, until the type publishes another
// one. It is safe for concurrent use.
type configSchemas struct {
	// running has a slot for each validation in progress, at most one per CPU.
	running chan struct{}

	mu     sync.Mutex
	byType map[string]configSchema
}

type configSchema struct {
	source   string
	compiled *jsonschema.Schema
}

// get returns the compiled schema of an agent type.
func (c *configSchemas) get(t core.AgentType) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.byType[t.Type]; ok && s.source == string(t.ConfigSchema) {
		return s.compiled, nil
	}
	compiled, err := configschema.Compile(t.ConfigSchema)
	if err != nil {
		return nil, err
	}
	if c.byType == nil {
		c.byType = map[string]configSchema{}
	}
	c.byType[t.Type] = configSchema{source: string(t.ConfigSchema), compiled: compiled}
	return compiled, nil
}

// maxConfigValues is the maximum number of values in a config: objects, lists, and their items. The time that a
// validation takes grows with their number, and with some schemas faster than that.
const maxConfigValues = 10_000

// countValues returns about how many values a JSON text contains.
func countValues(text []byte) int {
	n, inString := 1, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// validate returns the violation of the schema, or the error of ctx once it ends. The library cannot be interrupted:
// a validation whose caller has gone keeps its slot until it ends, so that callers who come and go cannot occupy
// more CPUs than there are slots.
func (c *configSchemas) validate(ctx context.Context, schema *jsonschema.Schema, v any) error {
	select {
	case c.running <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	result := make(chan error, 1)
	go func() {
		defer func() { <-c.running }()
		defer func() {
			if p := recover(); p != nil {
				result <- fmt.Errorf("panic in the validation of a config: %v", p)
			}
		}()
		result <- schema.Validate(v)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// check fails with Invalid if the config is not valid against the type's schema, and with Unavailable if
// there is no usable schema.
func (c *configSchemas) check(ctx context.Context, t core.AgentType, config []byte) error {
	if len(t.ConfigSchema) == 0 {
		if !t.Available {
			return core.Unavailable("Agent type %q is down, so the config cannot be checked. Try again.", t.Type)
		}
		return nil
	}
	schema, err := c.get(t)
	if err != nil {
		e := core.Unavailable("Agent type %q has an invalid config schema. Contact the author of its plugin.", t.Type)
		e.Err = err
		return e
	}
	if n := countValues(config); n > maxConfigValues {
		return core.Invalid("config", "Must contain at most %d values, but contains %d", maxConfigValues, n)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return core.Invalid("config", "Must be an object")
	}
	if err = c.validate(ctx, schema, v); err == nil {
		return nil
	}
	var violation *jsonschema.ValidationError
	if !errors.As(err, &violation) {
		return fmt.Errorf("validate a config: %w", err) // it wraps the error of a context that ended
	}
	e := &core.Error{Code: core.CodeValidation, Message: "Invalid request data"}
	collectIssues(violation, schema, v, &e.Fields)
	return e
}
