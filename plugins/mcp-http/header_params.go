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

// headerParam is an argument of a tool that is repeated in a header.
type headerParam struct {
	path   []string
	header string
}

// property has the relevant members of a property in a tool's input schema.
type property struct {
	Header     json.RawMessage     `json:"x-mcp-header"`
	Properties map[string]property `json:"properties"`
}

// maxSafeInteger is the largest integer that JSON readers keep exactly.
const maxSafeInteger = 1<<53 - 1

// storeToolHeaders stores the header parameters of the tools in an answer to tools/list.
func (c *conn) storeToolHeaders(answer []byte) {
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
		_ = json.Unmarshal(tool.InputSchema, &schema) // an unreadable schema defines no headers
		if params := headerParams(schema.Properties, nil); len(params) > 0 {
			c.tools[tool.Name] = params
		} else {
			delete(c.tools, tool.Name)
		}
	}
}

// headerParams returns the header parameters of properties and of their nested properties.
func headerParams(properties map[string]property, path []string) (params []headerParam) {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p := properties[name]
		propertyPath := append(slices.Clone(path), name)
		var header string
		if json.Unmarshal(p.Header, &header) == nil && isToken(header) {
			params = append(params, headerParam{path: propertyPath, header: header})
		}
		params = append(params, headerParams(p.Properties, propertyPath)...)
	}
	return params
}

// isToken reports whether text is a valid header name.
func isToken(text string) bool {
	return text != "" && isVisibleASCII(text) && !strings.ContainsAny(text, `"(),/:;<=>?@[\]{}`)
}

// paramHeaders returns the headers for the arguments that are present, by header name.
func paramHeaders(params []headerParam, arguments json.RawMessage) map[string]string {
	values := map[string]string{}
	for _, b := range params {
		value := arguments
		for _, name := range b.path {
			var object map[string]json.RawMessage
			_ = json.Unmarshal(value, &object) // a value that is not an object has no members
			value = object[name]
		}
		if text, ok := primitive(value); ok {
			values[http.CanonicalHeaderKey(b.header)] = encodeHeader(text)
		}
	}
	return values
}

// primitive returns the text of a string, a boolean, or an integer that every JSON reader
// keeps exactly.
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
	if err != nil || f != math.Trunc(f) || math.Abs(f) > maxSafeInteger {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

// encodeHeader returns text as a header value. It encodes text that a header cannot contain
// by MCP's rules.
func encodeHeader(text string) string {
	const prefix, suffix = "=?base64?", "?="
	needsEncoding := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	if needsEncoding || strings.Trim(text, " ") != text || strings.HasPrefix(text, prefix) &&
		strings.HasSuffix(text, suffix) {
		return prefix + base64.StdEncoding.EncodeToString([]byte(text)) + suffix
	}
	return text
}
