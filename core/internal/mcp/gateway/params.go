package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// decodeHeader returns the value of a header. A value with characters that a header cannot hold
// is encoded as =?base64?…?=. It returns false if the Base64 is invalid.
func decodeHeader(value string) (string, bool) {
	inner, ok := strings.CutPrefix(value, "=?base64?")
	if !ok {
		return value, true
	}
	if inner, ok = strings.CutSuffix(inner, "?="); !ok {
		return value, true
	}
	b, err := base64.StdEncoding.DecodeString(inner)
	return string(b), err == nil
}

// headerParam is an argument of a tool that a header repeats.
type headerParam struct {
	path   []string
	header string
}

// toolHeaders caches the header parameters of the tools of a server until the tool list
// changes.
type toolHeaders struct {
	mu     sync.Mutex
	byTool map[string][]headerParam
	// changes counts the invalidations, so that a list that was read before an invalidation is
	// not stored.
	changes int
}

// invalidate clears the cache.
func (t *toolHeaders) invalidate() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byTool = nil
	t.changes++
}

// maxPages is the maximum number of pages of a tool list that the gateway reads.
const maxPages = 50

// headerParams returns the header parameters of a tool. It reads the tool list of the server if
// the tool is not in the cache.
func (s *sharedUpstream) headerParams(ctx context.Context, tool string) ([]headerParam, error) {
	t := &s.tools
	t.mu.Lock()
	byTool, changes := t.byTool, t.changes
	t.mu.Unlock()
	if b, ok := byTool[tool]; ok {
		return b, nil
	}
	byTool = map[string][]headerParam{}
	params := map[string]any{"_meta": gatewayMeta()}
	for range maxPages {
		m, err := s.upstream.request(ctx, "tools/list", params)
		if err != nil {
			return nil, err
		}
		for _, entry := range splitArray(get(m.result, "tools")) {
			byTool[stringValue(get(entry, "name"))] = schemaHeaderParams(get(entry, "inputSchema"), nil)
		}
		cursor := stringValue(get(m.result, "nextCursor"))
		if cursor == "" {
			break
		}
		params["cursor"] = cursor
	}
	if _, ok := byTool[tool]; !ok {
		byTool[tool] = nil // cache that the server has no such tool
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes == changes {
		t.byTool = byTool
	}
	return byTool[tool], nil
}

// schemaHeaderParams returns the properties of a JSON schema that have an x-mcp-header,
// including nested ones.
func schemaHeaderParams(schema []byte, path []string) (found []headerParam) {
	// An error means that the schema has no properties, and thus no header parameters.
	_ = eachMember(get(schema, "properties"), func(key string, start, end int) bool {
		property := get(schema, "properties")[start:end]
		propertyPath := append(path[:len(path):len(path)], key)
		if header := stringValue(get(property, "x-mcp-header")); header != "" {
			found = append(found, headerParam{propertyPath, header})
		}
		found = append(found, schemaHeaderParams(property, propertyPath)...)
		return true
	})
	return found
}

// checkParams checks that the Mcp-Param headers match the arguments of a tool call.
func (s *sharedUpstream) checkParams(ctx context.Context, h http.Header, m *message) *rpcError {
	if m.method != "tools/call" {
		return nil
	}
	params, err := s.headerParams(ctx, stringValue(get(m.params, "name")))
	if err != nil {
		return nil // the call itself returns the error
	}
	for _, p := range params {
		if err := p.check(h, get(m.params, "arguments")); err != nil {
			return err
		}
	}
	return nil
}

// check checks the header of one parameter against the arguments of the call.
func (p *headerParam) check(h http.Header, arguments []byte) *rpcError {
	name, argument := paramHeader+p.header, strings.Join(p.path, ".")
	value := get(arguments, p.path...)
	given, decoded := decodeHeader(h.Get(name))
	switch {
	case value == nil || string(value) == "null":
		if h.Get(name) != "" {
			return mismatch("%s is set, but the argument %s is missing", name, argument)
		}
		return nil
	case h.Get(name) == "":
		return mismatch("%s is missing. It must repeat the argument %s.", name, argument)
	case !decoded:
		return mismatch("%s is not valid Base64", name)
	case !headerEquals(given, value):
		return mismatch("%s does not match the argument %s", name, argument)
	}
	return nil
}

// headerEquals reports whether a header has the same value as a JSON string, boolean or
// integer.
func headerEquals(header string, value []byte) bool {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return false
	}
	switch v := v.(type) {
	case string:
		return header == v
	case bool:
		return header == strconv.FormatBool(v)
	case float64:
		n, err := strconv.ParseFloat(header, 64)
		const safe = 1<<53 - 1
		return err == nil && n == v && n == math.Trunc(n) && math.Abs(n) <= safe
	default:
		return false
	}
}
