package remote

import (
	"encoding/json"
	"fmt"
)

// Initialized is the notification that completes a handshake.
const Initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

// ErrorOf returns the code and the message of an error response. The code of another message is 0.
func ErrorOf(answer []byte) (code int, message string) {
	var m struct {
		Error struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &m) != nil {
		return 0, ""
	}
	return m.Error.Code, m.Error.Message
}

// ListsChanged returns notifications that the lists of a server may have changed. The answer is the server's
// answer to initialize. A transport that opens a new session by itself sends them to the host, because the
// server has probably been restarted.
func ListsChanged(answer []byte) [][]byte {
	var m struct {
		Result struct {
			Capabilities map[string]json.RawMessage `json:"capabilities"`
		} `json:"result"`
	}
	_ = json.Unmarshal(answer, &m) // a server without capabilities has no lists
	var changed [][]byte
	for _, list := range []string{"tools", "prompts", "resources"} {
		if m.Result.Capabilities[list] != nil {
			changed = append(changed, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}`, list))
		}
	}
	return changed
}
