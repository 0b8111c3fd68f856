package remote

import (
	"bytes"
	"encoding/json"
	"strings"
)

// emptySchema is the schema of a tool without parameters.
const emptySchema = `{"type":"object","properties":{}}`

// ToolSchema returns the JSON Schema of a tool's parameters in the form that all providers accept: an object with
// properties, in which each array says what its items are. MCP servers may omit these. It fails if schema is
// not a JSON object.
func ToolSchema(schema string) (json.RawMessage, error) {
	if strings.TrimSpace(schema) == "" {
		return json.RawMessage(emptySchema), nil
	}
	d := json.NewDecoder(strings.NewReader(schema))
	d.UseNumber()
	var root map[string]any
	if err := d.Decode(&root); err != nil {
		return nil, err
	}
	if root == nil {
		return json.RawMessage(emptySchema), nil
	}
	changed := addItems(root)
	if root["type"] != "object" {
		root["type"], changed = "object", true
	}
	if _, ok := root["properties"].(map[string]any); !ok {
		root["properties"], changed = map[string]any{}, true
	}
	if !changed {
		return json.RawMessage(schema), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(root)
	return bytes.TrimSpace(b.Bytes()), err
}

// addItems adds items to each array in a schema that has none. It reports whether it changed anything.
func addItems(value any) (changed bool) {
	switch v := value.(type) {
	case map[string]any:
		if _, ok := v["items"]; !ok && isArray(v["type"]) && v["prefixItems"] == nil {
			v["items"], changed = map[string]any{}, true
		}
		for key, child := range v {
			if key == "enum" || key == "const" || key == "default" || key == "examples" {
				continue // these contain data, not schemas
			}
			changed = addItems(child) || changed
		}
	case []any:
		for _, child := range v {
			changed = addItems(child) || changed
		}
	}
	return changed
}

// isArray reports whether a schema's type is, or includes, array.
func isArray(typ any) bool {
	if list, ok := typ.([]any); ok {
		for _, t := range list {
			if t == "array" {
				return true
			}
		}
	}
	return typ == "array"
}
