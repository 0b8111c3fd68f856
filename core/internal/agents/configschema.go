package agents

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
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
	collect(violation, schema, &e.Fields)
	return e
}

// collect appends a field error for each leaf of a violation.
func collect(v *jsonschema.ValidationError, root *jsonschema.Schema, fields *[]core.FieldError) {
	for _, cause := range v.Causes {
		collect(cause, root, fields)
	}
	if len(v.Causes) > 0 {
		return
	}
	at := "config"
	for _, p := range v.InstanceLocation {
		at += "." + p
	}
	add := func(field, issue string) {
		if f := (core.FieldError{Field: field, Issue: issue}); !slices.Contains(*fields, f) {
			*fields = append(*fields, f)
		}
	}
	switch k := v.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add(at+"."+name, "Field is required")
		}
	case *kind.AdditionalProperties:
		var known []string
		if len(v.InstanceLocation) == 0 {
			known = knownFields(root)
		}
		for _, name := range k.Properties {
			add(at+"."+name, api.UnknownField(name, known))
		}
	default:
		add(at, issueOf(v.ErrorKind))
	}
}

// knownFields returns the sorted names of a schema's properties.
func knownFields(s *jsonschema.Schema) []string {
	for s.Ref != nil {
		s = s.Ref
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// issueOf describes a violation.
func issueOf(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "Must be " + article(k.Want)
	case *kind.Enum:
		return "Must be one of: " + list(k.Want)
	case *kind.Const:
		return fmt.Sprintf("Must be %v", k.Want)
	case *kind.Minimum:
		return "Must be at least " + number(k.Want)
	case *kind.Maximum:
		return "Must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "Must be more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "Must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "Must be a multiple of " + number(k.Want)
	case *kind.MinLength:
		if k.Want == 1 {
			return "Must not be empty"
		}
		return fmt.Sprintf("Must be at least %d characters long", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("Must be at most %d characters long", k.Want)
	case *kind.MinItems:
		if k.Want == 1 {
			return "Must contain at least one item"
		}
		return fmt.Sprintf("Must contain at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("Must contain at most %d items", k.Want)
	case *kind.UniqueItems:
		return "Must not contain duplicates"
	case *kind.Pattern:
		return "Must match " + k.Want
	case *kind.Format:
		return "Must be a valid " + k.Want
	default:
		return "Must be valid against the config_schema of the agent type"
	}
}

// article returns JSON types with their articles, joined with "or".
func article(types []string) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = "a " + t
		switch t {
		case "integer", "array", "object":
			words[i] = "an " + t
		case "boolean":
			words[i] = "true or false"
		case "null":
			words[i] = t
		}
	}
	return strings.Join(words, " or ")
}

// list returns values separated by commas.
func list(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}

// number returns a rational number in decimal.
func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}
