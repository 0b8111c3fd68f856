package api

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/agentarea/agentarea/core"
)

// configSchemas keeps the compiled schema of each agent type, until the type
// publishes another one.
type configSchemas struct {
	mu     sync.Mutex
	byType map[string]configSchema
}

type configSchema struct {
	source   string
	compiled *jsonschema.Schema
}

// noSchema is a schema that refers to another document.
type noSchema struct{}

func (noSchema) Load(url string) (any, error) { return nil, fmt.Errorf("%s is not loaded", url) }

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
	compiler.UseLoader(noSchema{})
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

// check fails with Invalid when the config is not what the type's schema asks
// for, and with Unavailable while the schema is not to be had.
func (c *configSchemas) check(t core.AgentType, config []byte) error {
	if len(t.ConfigSchema) == 0 {
		if !t.Available {
			return core.Unavailable("The agent type %q is down, so the config can't be checked: try again", t.Type)
		}
		return nil
	}
	schema, err := c.get(t)
	if err != nil {
		e := core.Unavailable("The agent type %q publishes a schema that can't be used: tell its plugin's author", t.Type)
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

// collect makes the leaves of a violation into fields.
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
		known := ""
		if len(v.InstanceLocation) == 0 {
			known = knownFields(root)
		}
		for _, name := range k.Properties {
			add(at+"."+name, "Unknown field"+known)
		}
	default:
		add(at, issueOf(v.ErrorKind))
	}
}

func knownFields(s *jsonschema.Schema) string {
	for s.Ref != nil {
		s = s.Ref
	}
	if len(s.Properties) == 0 {
		return ""
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return ": there are " + strings.Join(names, ", ")
}

// issueOf says a violation as a person would.
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
		return fmt.Sprintf("Must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("Must have at most %d items", k.Want)
	case *kind.UniqueItems:
		return "Must not have an item twice"
	case *kind.Pattern:
		return "Must match " + k.Want
	case *kind.Format:
		return "Must be a valid " + k.Want
	default:
		return "Is not what the type's config_schema asks for"
	}
}

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

func list(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}
