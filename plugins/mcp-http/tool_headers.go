package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// maxPages is the maximum number of pages of tools to request.
const maxPages = 100

// fetchToolHeaders requests the server's tools on behalf of a call. Their schemas define
// which arguments must be repeated in headers.
func (c *conn) fetchToolHeaders(call *rpcCall) error {
	cursor := ""
	for range maxPages {
		answer, err := c.requestTools(call, cursor)
		if err != nil {
			return err
		}
		var m struct {
			Result *struct {
				NextCursor string `json:"nextCursor"`
			} `json:"result"`
		}
		if err := json.Unmarshal(answer, &m); err != nil {
			return err
		}
		if m.Result == nil {
			return errors.New("the server did not list its tools")
		}
		if cursor = m.Result.NextCursor; cursor == "" {
			return nil
		}
	}
	return nil
}

// requestTools requests a page of tools.
func (c *conn) requestTools(call *rpcCall, cursor string) (answer []byte, err error) {
	var meta map[string]json.RawMessage
	if err := json.Unmarshal(call.params["_meta"], &meta); err != nil {
		return nil, err
	}
	delete(meta, "progressToken")
	params := map[string]any{"_meta": meta}
	if cursor != "" {
		params["cursor"] = cursor
	}
	text, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": "agentarea-" + rand.Text(), "method": "tools/list", "params": params,
	})
	if err != nil {
		return nil, err
	}
	m := outgoing{
		text: text, head: remote.HeadOf(text),
		revision: call.revision, modern: call.modern,
	}
	request := &rpcCall{outgoing: m, ctx: call.ctx, cancel: call.cancel, result: &answer}
	return answer, c.roundTrip(request)
}
