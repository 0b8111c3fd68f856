package agents

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/agentarea/agentarea/core"
)

// maxIssues is the maximum number of field errors of a config.
const maxIssues = 50

// collectIssues appends a field error for each leaf of a violation, up to maxIssues.
func collectIssues(v *jsonschema.ValidationError, root *jsonschema.Schema, fields *[]core.FieldError) {
	for _, cause := range v.Causes {
		if len(*fields) >= maxIssues {
			return
		}
		collectIssues(cause, root, fields)
	}
	if len(v.Causes) > 0 {
		return
	}
	at := "config"
	for _, p := range v.InstanceLocation {
		at += "." + p
	}
	add := func(field, issue string) {
		if f := (core.FieldError{Field: field, Issue: issue}); len(*fields) < maxIssues && !slices.Contains(*fields, f) {
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
		for _, name := range k.Properties[:min(len(k.Properties), maxIssues)] {
			add(at+"."+name, core.UnknownField(name, known))
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
