package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// maxPages is how many pages of tools are asked for.
const maxPages = 100

// learnTools asks the server for its tools on a call's behalf: their schemas say
// which arguments headers have to repeat.
func (c *conn) learnTools(t *call) error {
	cursor := ""
	for range maxPages {
		answer, err := c.askTools(t, cursor)
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
			return errors.New("the server does not list its tools")
		}
		if cursor = m.Result.NextCursor; cursor == "" {
			return nil
		}
	}
	return nil
}

func (c *conn) askTools(t *call, cursor string) (answer []byte, err error) {
	var meta map[string]json.RawMessage
	if err := json.Unmarshal(t.params["_meta"], &meta); err != nil {
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
		revision: t.revision, modern: t.modern,
	}
	ask := &call{outgoing: m, ctx: t.ctx, cancel: t.cancel, keep: &answer}
	return answer, c.exchange(ask)
}
