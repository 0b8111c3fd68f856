package plugintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// compileSchema returns why the server cannot use a JSON Schema (draft 2020-12) of the configs of an agent type, or
// nil. It checks the values of the keywords, the regular expressions, and that references lead to a part of the
// document.
func compileSchema(text []byte) error {
	var root any
	if err := json.Unmarshal(text, &root); err != nil {
		return fmt.Errorf("it is not valid JSON: %w", err)
	}
	object, ok := root.(map[string]any)
	if !ok || object["type"] != "object" {
		return errors.New(`it must have "type": "object", because configs are objects`)
	}
	if draft, ok := object["$schema"].(string); ok && !strings.Contains(draft, "/2020-12/") {
		return fmt.Errorf(`"$schema" is %q, want "https://json-schema.org/draft/2020-12/schema" or none`, draft)
	}
	c := &schemaCompiler{root: root, anchors: map[string]bool{}}
	if err := c.schema("#", root); err != nil {
		return err
	}
	return c.resolve()
}

// schemaCompiler checks the schemas of a document.
type schemaCompiler struct {
	root any
	// anchors contains the names that $anchor and $dynamicAnchor define.
	anchors map[string]bool
	refs    []schemaRef
	// hasIDs reports whether a schema has an $id, to which references can be relative.
	hasIDs bool
}

// schemaRef is a reference, and the path of its keyword.
type schemaRef struct{ path, target string }

// schema checks a schema and the schemas in it.
func (c *schemaCompiler) schema(path string, v any) error {
	if _, ok := v.(bool); ok {
		return nil
	}
	object, ok := v.(map[string]any)
	if !ok {
		return wrongValue(path, v, "a schema, which is an object or a bool")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := c.keyword(path+"/"+name, name, object[name]); err != nil {
			return err
		}
	}
	return nil
}

// keyword checks the value of a keyword. It accepts any value of a keyword that JSON Schema does not define.
func (c *schemaCompiler) keyword(path, name string, v any) error {
	switch name {
	case "additionalProperties", "not", "if", "then", "else", "items", "contains", "propertyNames",
		"unevaluatedItems", "unevaluatedProperties", "contentSchema":
		return c.schema(path, v)
	case "properties", "$defs", "definitions", "dependentSchemas":
		return c.schemas(path, v)
	case "patternProperties":
		return errors.Join(checkPatterns(path, v), c.schemas(path, v))
	case "allOf", "anyOf", "oneOf", "prefixItems":
		return c.schemaList(path, v)
	case "$ref", "$dynamicRef":
		return c.reference(path, v)
	case "$anchor", "$dynamicAnchor":
		anchor, err := stringOf(path, v)
		c.anchors[anchor] = true
		return err
	case "$id":
		c.hasIDs = true
	}
	return checkValue(path, name, v)
}

// schemas checks an object whose values are schemas.
func (c *schemaCompiler) schemas(path string, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return wrongValue(path, v, "an object of schemas")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := c.schema(path+"/"+name, object[name]); err != nil {
			return err
		}
	}
	return nil
}

func (c *schemaCompiler) schemaList(path string, v any) error {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return wrongValue(path, v, "a list of at least one schema")
	}
	for i, item := range list {
		if err := c.schema(path+"/"+strconv.Itoa(i), item); err != nil {
			return err
		}
	}
	return nil
}

func (c *schemaCompiler) reference(path string, v any) error {
	target, err := stringOf(path, v)
	c.refs = append(c.refs, schemaRef{path, target})
	return err
}

// resolve checks that the references lead to a part of the document. It skips references that may be relative to an
// $id, and the schemas of JSON Schema itself, which the server knows.
func (c *schemaCompiler) resolve() error {
	for _, ref := range c.refs {
		document, fragment, _ := strings.Cut(ref.target, "#")
		switch {
		case c.hasIDs || strings.HasPrefix(document, "https://json-schema.org/"):
		case document != "":
			return fmt.Errorf("%s refers to %q, want a reference within the document, such as \"#/$defs/name\": the server "+
				"does not load other documents", ref.path, ref.target)
		case strings.HasPrefix(fragment, "/"):
			if !hasPointer(c.root, fragment) {
				return fmt.Errorf("%s refers to %q, which does not exist", ref.path, ref.target)
			}
		case fragment != "" && !c.anchors[fragment]:
			return fmt.Errorf("%s refers to the anchor %q, which does not exist", ref.path, ref.target)
		}
	}
	return nil
}

// hasPointer reports whether a JSON pointer leads to a value in v.
func hasPointer(v any, pointer string) bool {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		var ok bool
		switch parent := v.(type) {
		case map[string]any:
			v, ok = parent[unescape.Replace(step)]
		case []any:
			i, err := strconv.Atoi(step)
			if ok = err == nil && i >= 0 && i < len(parent); ok {
				v = parent[i]
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// checkValue checks the value of a keyword that contains no schemas.
func checkValue(path, name string, v any) error {
	switch name {
	case "type":
		return checkTypes(path, v)
	case "pattern":
		pattern, err := stringOf(path, v)
		if err == nil {
			err = checkPattern(path, pattern)
		}
		return err
	case "title", "description", "format", "$id", "$schema", "$comment", "contentEncoding", "contentMediaType":
		_, err := stringOf(path, v)
		return err
	case "required":
		return checkNames(path, v)
	case "dependentRequired":
		object, ok := v.(map[string]any)
		if !ok {
			return wrongValue(path, v, "an object of lists of names")
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if err := checkNames(path+"/"+key, object[key]); err != nil {
				return err
			}
		}
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		if n, ok := v.(float64); !ok || n < 0 || n != math.Trunc(n) {
			return wrongValue(path, v, "an integer of at least 0")
		}
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		if _, ok := v.(float64); !ok {
			return wrongValue(path, v, "a number")
		}
	case "multipleOf":
		if n, ok := v.(float64); !ok || n <= 0 {
			return wrongValue(path, v, "a number greater than 0")
		}
	case "uniqueItems", "deprecated", "readOnly", "writeOnly":
		if _, ok := v.(bool); !ok {
			return wrongValue(path, v, "a bool")
		}
	case "enum", "examples":
		if _, ok := v.([]any); !ok {
			return wrongValue(path, v, "a list")
		}
	}
	return nil
}

// schemaTypes are the values of the keyword type.
var schemaTypes = []string{"array", "boolean", "integer", "null", "number", "object", "string"}

// checkTypes checks the value of the keyword type: a type, or a list of different types.
func checkTypes(path string, v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	seen := map[any]bool{}
	for _, item := range list {
		name, ok := item.(string)
		if !ok || !slices.Contains(schemaTypes, name) || seen[name] {
			return wrongValue(path, v, "one or several of "+strings.Join(schemaTypes, ", "))
		}
		seen[name] = true
	}
	if len(list) == 0 {
		return wrongValue(path, v, "at least one type")
	}
	return nil
}

// checkNames checks a list of different strings.
func checkNames(path string, v any) error {
	list, ok := v.([]any)
	seen := map[string]bool{}
	for _, item := range list {
		name, isString := item.(string)
		ok = ok && isString && !seen[name]
		seen[name] = true
	}
	if !ok {
		return wrongValue(path, v, "a list of different names")
	}
	return nil
}

// checkPatterns checks the names of an object, which are regular expressions.
func checkPatterns(path string, v any) error {
	object, _ := v.(map[string]any)
	for _, pattern := range slices.Sorted(maps.Keys(object)) {
		if err := checkPattern(path, pattern); err != nil {
			return err
		}
	}
	return nil
}

func checkPattern(path, pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return fmt.Errorf("%s is not a regular expression that Go supports: %w", path, err)
	}
	return nil
}

func stringOf(path string, v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wrongValue(path, v, "a string")
	}
	return s, nil
}

// wrongValue returns the error for a value at a path of the document.
func wrongValue(path string, v any, want string) error {
	text, _ := json.Marshal(v) // cannot fail, because v is decoded JSON
	return fmt.Errorf("%s is %s, want %s", path, text, want)
}
