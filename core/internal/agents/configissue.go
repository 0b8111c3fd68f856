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

// collectIssues appends a field error for each leaf of a violation of a config, up to maxIssues.
func collectIssues(v *jsonschema.ValidationError, root *jsonschema.Schema, config any, fields *[]core.FieldError) {
	for _, cause := range v.Causes {
		if len(*fields) >= maxIssues {
			return
		}
		collectIssues(cause, root, config, fields)
	}
	if len(v.Causes) > 0 {
		return
	}
	at := core.FieldPath("config", config, v.InstanceLocation)
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
		return "Must be at least " + core.Count(k.Want, "character") + " long"
	case *kind.MaxLength:
		return "Must be at most " + core.Count(k.Want, "character") + " long"
	case *kind.MinItems:
		if k.Want == 1 {
			return "Must contain at least one item"
		}
		return "Must contain at least " + core.Count(k.Want, "item")
	case *kind.MaxItems:
		return "Must contain at most " + core.Count(k.Want, "item")
	case *kind.UniqueItems:
		return "Must not contain duplicates"
	case *kind.Pattern:
		return "Must match the regular expression " + k.Want
	case *kind.Format:
		return formatIssue(k.Want)
	default:
		return "Must be valid against the config_schema of the agent type"
	}
}

// formatIssue describes a value that does not have a format of JSON Schema.
func formatIssue(format string) string {
	if example, ok := formatExamples[format]; ok {
		return "Must be " + example
	}
	return "Must be a valid " + format
}

var formatExamples = map[string]string{
	"date":      "a date such as 2026-11-30",
	"date-time": "a time such as 2026-11-30T12:00:00Z",
	"time":      "a time of day such as 12:00:00Z",
	"duration":  "a duration such as P3DT12H",
	"email":     "an email address such as name@example.com",
	"uri":       "a URL such as https://example.com/path",
	"uuid":      "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
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
