package agents

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentarea/agentarea/core"
)

// configSchemas caches the compiled config schema of each agent type, until the type publishes another
// one. It is safe for concurrent use.
type configSchemas struct {
	mu     sync.Mutex
	byType map[string]configSchema
}

type configSchema struct {
	source   string
	compiled *jsonschema.Schema
}

// noLoader rejects references to other documents.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("reference to %s: other documents are not loaded", url)
}

// get returns the compiled schema of an agent type.
func (c *configSchemas) get(t core.AgentType) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.byType[t.Type]; ok && s.source == string(t.ConfigSchema) {
		return s.compiled, nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(t.ConfigSchema))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource("config.json", doc); err != nil {
		return nil, err
	}
	compiled, err := compiler.Compile("config.json")
	if err != nil {
		return nil, err
	}
	if c.byType == nil {
		c.byType = map[string]configSchema{}
	}
	c.byType[t.Type] = configSchema{source: string(t.ConfigSchema), compiled: compiled}
	return compiled, nil
}

// check fails with Invalid if the config is not valid against the type's schema, and with Unavailable if
// there is no usable schema.
func (c *configSchemas) check(t core.AgentType, config []byte) error {
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
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(config))
	if err != nil {
		return core.Invalid("config", "Must be an object")
	}
	err = schema.Validate(v)
	if err == nil {
		return nil
	}
	var violation *jsonschema.ValidationError
	if !errors.As(err, &violation) {
		return fmt.Errorf("validate a config: %w", err)
	}
	e := &core.Error{Code: core.CodeValidation, Message: "Invalid request data"}
	collectIssues(violation, schema, &e.Fields)
	return e
}
