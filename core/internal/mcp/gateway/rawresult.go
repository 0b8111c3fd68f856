package gateway

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// rawResult receives the result of a forwarded request as the MCP server sent it. The Go SDK rejects a
// result that has a single content block of a type that it does not know.
type rawResult struct {
	mcp.ResultBase
	mu     sync.Mutex
	data   json.RawMessage
	forget func()
}

// MarshalJSON returns the result unchanged.
func (r *rawResult) MarshalJSON() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data, nil
}

type rawResultKey struct{}

// keepResult makes onResult store the result of the request with the ID in the rawResult of ctx.
func (t *translator) keepResult(ctx context.Context, id jsonrpc.ID) {
	r, ok := ctx.Value(rawResultKey{}).(*rawResult)
	if !ok {
		return
	}
	t.mu.Lock()
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

// onResult stores the result of a forwarded request.
func (t *translator) onResult(m *jsonrpc.Response) {
	t.mu.Lock()
	r := t.results[m.ID]
	delete(t.results, m.ID)
	t.mu.Unlock()
	if r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.data = m.Result
	}
}

// unchanged calls send and returns its result. If the SDK cannot decode the result, unchanged returns it
// as the MCP server sent it, because the client may understand it. into is an empty result of the type.
func unchanged[R mcp.Result](
	ctx context.Context, into R, send func(context.Context) (R, error),
) (mcp.Result, error) {
	raw := new(rawResult)
	result, err := send(context.WithValue(ctx, rawResultKey{}, raw))
	raw.mu.Lock()
	forget, data := raw.forget, raw.data
	raw.mu.Unlock()
	if forget != nil {
		forget()
	}
	switch {
	case err == nil:
		return result, nil
	case data == nil || ctx.Err() != nil || json.Unmarshal(data, into) == nil:
		return nil, err // not an error of the decoder
	}
	compacted, compactErr := compact(data)
	if compactErr != nil || len(compacted) == 0 || compacted[0] != '{' ||
		stringValue(get(compacted, "resultType")) == "input_required" {
		return nil, err
	}
	return raw, nil
}
