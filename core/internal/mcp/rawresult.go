package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// rawResult receives the result of a tool call as the server sent it. go-sdk rejects a result that has
// a single block of a type that it does not know. The zero value is ready to use, for one call.
type rawResult struct {
	mu     sync.Mutex
	data   json.RawMessage
	forget func()
}

type rawResultKey struct{}

// withRawResult returns a context whose tool call stores its result in r.
func withRawResult(ctx context.Context, r *rawResult) context.Context {
	return context.WithValue(ctx, rawResultKey{}, r)
}

// keepResult makes onResponse store the result of the call with the id in the rawResult of ctx.
func (t *clientTransport) keepResult(ctx context.Context, id jsonrpc.ID) {
	r, ok := ctx.Value(rawResultKey{}).(*rawResult)
	if !ok {
		return
	}
	t.mu.Lock()
	if t.results == nil {
		t.results = map[jsonrpc.ID]*rawResult{}
	}
	t.results[id] = r
	t.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.results, id)
	}
}

// set stores the result.
func (r *rawResult) set(data json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = data
}

// release ends the wait for the result.
func (r *rawResult) release() {
	r.mu.Lock()
	forget := r.forget
	r.mu.Unlock()
	if forget != nil {
		forget()
	}
}

// readable returns the parts of the result that can be read. It returns nil if there is no result, if
// go-sdk can decode it, or if it is not a complete result of a tool.
func (r *rawResult) readable() *mcp.CallToolResult {
	r.mu.Lock()
	data := r.data
	r.mu.Unlock()
	if data == nil || new(mcp.CallToolResult).UnmarshalJSON(data) == nil {
		return nil
	}
	var wire struct {
		Content           json.RawMessage `json:"content"`
		StructuredContent any             `json:"structuredContent"`
		IsError           json.RawMessage `json:"isError"`
		ResultType        string          `json:"resultType"`
	}
	if json.Unmarshal(data, &wire) != nil || wire.ResultType != "" && wire.ResultType != "complete" {
		return nil
	}
	result := &mcp.CallToolResult{StructuredContent: wire.StructuredContent, IsError: string(wire.IsError) == "true"}
	var blocks []json.RawMessage
	if len(wire.Content) > 0 && json.Unmarshal(wire.Content, &blocks) != nil {
		blocks = []json.RawMessage{wire.Content} // a block without its list
	}
	anyRead := false
	for _, block := range blocks {
		content, read := readBlock(block)
		result.Content = append(result.Content, content)
		anyRead = anyRead || read
	}
	if !anyRead && wire.StructuredContent != nil {
		result.Content = append(result.Content, &mcp.TextContent{Text: string(encode(wire.StructuredContent))})
	}
	return result
}

// readBlock decodes a content block. A block that cannot be decoded becomes a text that names it; read is
// false then.
func readBlock(block json.RawMessage) (content mcp.Content, read bool) {
	var one mcp.CallToolResult
	if one.UnmarshalJSON(slices.Concat([]byte(`{"content":[`), block, []byte(`]}`))) == nil && len(one.Content) == 1 {
		return one.Content[0], true
	}
	var text string
	if json.Unmarshal(block, &text) == nil && string(block) != "null" {
		return &mcp.TextContent{Text: text}, true
	}
	var head struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(block, &head) // without a type the note says so
	switch head.Type {
	case "text", "image", "audio", "resource", "resource_link":
		return &mcp.TextContent{Text: invalidNote(head.Type)}, false
	}
	return &mcp.TextContent{Text: unknownNote(head.Type)}, false
}

// maxTypeName is the maximum length of the name of a block's type in a note, in bytes.
const maxTypeName = 100

// unknownNote is the text in place of a block of an unknown type.
func unknownNote(name string) string {
	if name == "" {
		return "[content without a type omitted]"
	}
	return fmt.Sprintf("[content of the unknown type %q omitted]", truncate(name, maxTypeName))
}

// invalidNote is the text in place of a block of a known type that cannot be read.
func invalidNote(name string) string { return fmt.Sprintf("[%s omitted: it is not valid]", name) }
