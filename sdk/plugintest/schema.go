package plugintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
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
	c := &schemaCompiler{root: root, anchors: map[string]bool{}, checked: map[string]bool{}}
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
	// checked contains the paths of the schemas that have been checked.
	checked map[string]bool
	refs    []schemaRef
	// hasIDs reports whether a schema has an $id, to which references can be relative.
	hasIDs bool
}

// schemaRef is a reference, and the path of its keyword. Paths are JSON pointers.
type schemaRef struct{ path, target string }

// anchorName matches the values of $anchor and $dynamicAnchor.
var anchorName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// schema checks a schema and the schemas in it.
func (c *schemaCompiler) schema(path string, v any) error {
	if c.checked[path] {
		return nil
	}
	c.checked[path] = true
	if _, ok := v.(bool); ok {
		return nil
	}
	object, ok := v.(map[string]any)
	if !ok {
		return wrongValue(path, v, "a schema, which is an object or a bool")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := c.keyword(child(path, name), name, object[name]); err != nil {
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
		anchor, _ := v.(string)
		if !anchorName.MatchString(anchor) {
			return wrongValue(path, v, "a name of letters, digits, _, - and .")
		}
		c.anchors[anchor] = true
		return nil
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
		if err := c.schema(child(path, name), object[name]); err != nil {
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

// resolve checks that the references lead to a schema in the document. It skips references that may be relative to an $id,
// and the schemas of JSON Schema itself, which the server knows.
func (c *schemaCompiler) resolve() error {
	for i := 0; i < len(c.refs); i++ { // checking the target of a reference may add references
		ref := c.refs[i]
		document, fragment, _ := strings.Cut(ref.target, "#")
		if decoded, err := url.PathUnescape(fragment); err == nil {
			fragment = decoded
		}
		switch {
		case c.hasIDs || strings.HasPrefix(document, "https://json-schema.org/"):
		case document != "":
			return fmt.Errorf("%s refers to %q, want a reference within the document, such as \"#/$defs/name\": the server "+
				"does not load other documents", ref.path, ref.target)
		case strings.HasPrefix(fragment, "/"):
			target, ok := lookUp(c.root, fragment)
			if !ok {
				return fmt.Errorf("%s refers to %q, which does not exist", ref.path, ref.target)
			}
			if err := c.schema("#"+fragment, target); err != nil {
				return err
			}
		case fragment != "" && !c.anchors[fragment]:
			return fmt.Errorf("%s refers to the anchor %q, which does not exist", ref.path, ref.target)
		}
	}
	return nil
}

// child returns the JSON pointer of a name in the object at path.
func child(path, name string) string {
	return path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// lookUp returns the value in v that a JSON pointer leads to, and whether there is one.
func lookUp(v any, pointer string) (any, bool) {
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
			return nil, false
		}
	}
	return v, true
}
