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

// decodeHeader gives a header's value, which is in Base64 where it holds what a
// header can't.
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

// dependency is an argument of a tool that a header repeats.
type dependency struct {
	path   []string
	header string
}

// toolHeaders are the dependencies of a server's tools, as long as its list is good.
type toolHeaders struct {
	mu    sync.Mutex
	known map[string][]dependency
	// changes counts how often the list was forgotten.
	changes int
}

func (t *toolHeaders) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = nil
	t.changes++
}

// maxPages bounds how much of a list of tools is read.
const maxPages = 50

// dependencies gives those of a tool, by the server's list.
func (s *shared) dependencies(ctx context.Context, tool string) ([]dependency, error) {
	t := &s.tools
	t.mu.Lock()
	known, changes := t.known, t.changes
	t.mu.Unlock()
	if b, ok := known[tool]; ok {
		return b, nil
	}
	known = map[string][]dependency{}
	params := map[string]any{"_meta": ownMeta()}
	for range maxPages {
		m, err := s.link.ask(ctx, "tools/list", params)
		if err != nil {
			return nil, err
		}
		for _, one := range batch(get(m.result, "tools")) {
			known[text(get(one, "name"))] = bindingsOf(get(one, "inputSchema"), nil)
		}
		cursor := text(get(m.result, "nextCursor"))
		if cursor == "" {
			break
		}
		params["cursor"] = cursor
	}
	if _, ok := known[tool]; !ok {
		known[tool] = nil // the server says that there is none
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes == changes {
		t.known = known
	}
	return known[tool], nil
}

// bindingsOf reads the x-mcp-header of a schema's properties.
func bindingsOf(schema []byte, path []string) (found []dependency) {
	_ = members(get(schema, "properties"), func(key string, start, end int) bool { // without any, there are none
		property := get(schema, "properties")[start:end]
		here := append(path[:len(path):len(path)], key)
		if header := text(get(property, "x-mcp-header")); header != "" {
			found = append(found, dependency{here, header})
		}
		found = append(found, bindingsOf(property, here)...)
		return true
	})
	return found
}

// checkParams holds the Mcp-Param headers against a tool's arguments.
func (s *shared) checkParams(ctx context.Context, h http.Header, m *message) *rpcError {
	if m.method != "tools/call" {
		return nil
	}
	dependencies, err := s.dependencies(ctx, text(get(m.params, "name")))
	if err != nil {
		return nil // the call itself will tell
	}
	for _, b := range dependencies {
		if err := b.check(h, get(m.params, "arguments")); err != nil {
			return err
		}
	}
	return nil
}

func (b *dependency) check(h http.Header, arguments []byte) *rpcError {
	name, where := paramHeader+b.header, strings.Join(b.path, ".")
	value := get(arguments, b.path...)
	given, decoded := decodeHeader(h.Get(name))
	switch {
	case value == nil || string(value) == "null":
		if h.Get(name) != "" {
			return mismatch("%s is there and the argument %s is not", name, where)
		}
		return nil
	case h.Get(name) == "":
		return mismatch("%s is missing, for the argument %s", name, where)
	case !decoded:
		return mismatch("%s is no valid Base64", name)
	case !equal(given, value):
		return mismatch("%s does not match the argument %s", name, where)
	}
	return nil
}

// equal compares a header's value with a JSON value.
func equal(header string, value []byte) bool {
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
