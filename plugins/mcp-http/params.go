package main

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// binding is an argument of a tool that a header repeats.
type binding struct {
	path   []string
	header string
}

// property is what matters of a property of a tool's input schema.
type property struct {
	Header     json.RawMessage     `json:"x-mcp-header"`
	Properties map[string]property `json:"properties"`
}

const maxSafe = 1<<53 - 1

// noteTools learns from an answer to tools/list.
func (c *conn) noteTools(answer []byte) {
	var m struct {
		Result struct {
			Tools []struct {
				Name        string          `json:"name"`
				InputSchema json.RawMessage `json:"inputSchema"`
			} `json:"tools"`
		} `json:"result"`
	}
	if json.Unmarshal(answer, &m) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tool := range m.Result.Tools {
		var schema property
		_ = json.Unmarshal(tool.InputSchema, &schema) // another schema names no headers
		if found := bindings(schema.Properties, nil); len(found) > 0 {
			c.tools[tool.Name] = found
		} else {
			delete(c.tools, tool.Name)
		}
	}
}

func bindings(properties map[string]property, path []string) (found []binding) {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p := properties[name]
		at := append(slices.Clone(path), name)
		var header string
		if json.Unmarshal(p.Header, &header) == nil && isToken(header) {
			found = append(found, binding{path: at, header: header})
		}
		found = append(found, bindings(p.Properties, at)...)
	}
	return found
}

func isToken(text string) bool {
	return text != "" && isPlain(text) && !strings.ContainsAny(text, `"(),/:;<=>?@[\]{}`)
}

// paramHeaders are the values of the arguments that are there.
func paramHeaders(found []binding, arguments json.RawMessage) map[string]string {
	values := map[string]string{}
	for _, b := range found {
		value := arguments
		for _, name := range b.path {
			var object map[string]json.RawMessage
			_ = json.Unmarshal(value, &object) // what is no object has no members
			value = object[name]
		}
		if text, ok := primitive(value); ok {
			values[http.CanonicalHeaderKey(b.header)] = encode(text)
		}
	}
	return values
}

// primitive is a string, a bool or a whole number that no reader rounds.
func primitive(value json.RawMessage) (string, bool) {
	if len(value) == 0 {
		return "", false
	}
	switch value[0] {
	case '"':
		var text string
		err := json.Unmarshal(value, &text)
		return text, err == nil
	case 't', 'f':
		return string(value), true
	case 'n', '{', '[':
		return "", false
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > maxSafe {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

// encode makes a header's value of text, by MCP's rule for what can't stand there
// as it is.
func encode(text string) string {
	const prefix, suffix = "=?base64?", "?="
	odd := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	if odd || strings.Trim(text, " ") != text || strings.HasPrefix(text, prefix) && strings.HasSuffix(text, suffix) {
		return prefix + base64.StdEncoding.EncodeToString([]byte(text)) + suffix
	}
	return text
}
