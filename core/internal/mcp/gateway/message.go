package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// The error codes of JSON-RPC and MCP that the gateway uses.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeMethodNotFound = -32601
	codeInvalidParams  = -32602
	// codeServer is the code of errors of the gateway and of the connection to the server.
	codeServer             = -32000
	codeTimeout            = -32001
	codeHeaderMismatch     = -32020
	codeMissingCapability  = -32021
	codeUnsupportedVersion = -32022
)

// message is one compact JSON-RPC message. Its parts are slices of raw.
type message struct {
	raw    []byte
	id     []byte
	method string
	params []byte
	result []byte
	err    []byte
	// idStart and idEnd delimit the ID in raw.
	idStart, idEnd int
}

// isRequest reports whether the message expects a response.
func (m *message) isRequest() bool { return m.method != "" && m.id != nil }

// isResponse reports whether the message has no method.
func (m *message) isResponse() bool { return m.method == "" }

// withID returns the raw message with another ID.
func (m *message) withID(id []byte) []byte {
	out := make([]byte, 0, len(m.raw)+len(id))
	out = append(out, m.raw[:m.idStart]...)
	out = append(out, id...)
	return append(out, m.raw[m.idEnd:]...)
}

// errorCode returns the code of an error response, or 0 if the message is not an error.
func (m *message) errorCode() int {
	if m.err == nil {
		return 0
	}
	code, err := strconv.Atoi(string(get(m.err, "code")))
	if err != nil {
		return codeServer
	}
	return code
}

// parse decodes a message. With an error it returns the parts that it could read, if any.
func parse(b []byte) (*message, error) {
	raw, err := compact(b)
	if err != nil {
		return nil, err
	}
	return parseCompact(raw)
}

// parseCompact is like parse for JSON that is already compact.
func parseCompact(raw []byte) (*message, error) {
	m := &message{raw: raw}
	var version, method []byte
	seen, duplicate := 0, false
	err := eachMember(raw, func(key string, start, end int) bool {
		value, bit := raw[start:end], 0
		switch key {
		case "jsonrpc":
			version, bit = value, 1
		case "id":
			m.id, m.idStart, m.idEnd, bit = value, start, end, 2
		case "method":
			method, bit = value, 4
		case "params":
			m.params, bit = value, 8
		case "result":
			m.result, bit = value, 16
		case "error":
			m.err, bit = value, 32
		}
		duplicate = duplicate || seen&bit != 0 // JSON parsers differ in which value they use
		seen |= bit
		return true
	})
	if err != nil {
		return nil, err
	}
	m.method = stringValue(method)
	if duplicate {
		return m, errors.New("the message has a duplicate member")
	}
	return m, m.check(version, method)
}

// check returns an error if the message is not valid JSON-RPC 2.0. It removes an invalid ID.
func (m *message) check(version, method []byte) error {
	if string(version) != `"2.0"` {
		return errors.New(`"jsonrpc" must be "2.0"`)
	}
	if m.id != nil {
		if err := checkID(m.id); err != nil {
			m.id = nil
			return err
		}
	}
	switch {
	case method != nil && m.method == "":
		return errors.New(`"method" must be a non-empty string`)
	case method != nil && m.params != nil && m.params[0] != '{':
		return errors.New(`"params" must be an object`)
	case method != nil:
		return nil
	case m.id == nil:
		return errors.New(`the message has neither "method" nor "id"`)
	case (m.result == nil) == (m.err == nil):
		return errors.New(`a response must have either "result" or "error"`)
	}
	return nil
}

// checkID rejects an ID that is neither a string nor an integer. null is rejected because a
// response could not be matched to it.
func checkID(id []byte) error {
	switch {
	case id[0] == '"':
		return nil
	case id[0] != '-' && (id[0] < '0' || id[0] > '9'):
		return errors.New(`"id" must be a string or an integer`)
	case bytes.ContainsAny(id, ".eE"):
		return errors.New(`"id" must be a string or an integer`)
	}
	return nil
}

// splitArray returns the elements of a JSON array, or nil if raw is not an array.
func splitArray(raw []byte) [][]byte {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	items := [][]byte{}
	for i := 1; raw[i] != ']'; {
		if raw[i] == ',' {
			i++
		}
		end := valueEnd(raw, i)
		items = append(items, raw[i:end])
		i = end
	}
	return items
}

// rpcError is an error response.
type rpcError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
	// status is the HTTP status. 0 selects the default, 400.
	status int
}

func (e *rpcError) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// response returns the JSON-RPC response to the request with the ID. A nil ID stands for an ID
// that could not be read.
func (e *rpcError) response(id []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	b, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   *rpcError       `json:"error"`
	}{"2.0", id, e})
	if err != nil {
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Internal error"}}`)
	}
	return b
}

// notification returns a JSON-RPC notification.
func notification(method string, params any) ([]byte, error) {
	return json.Marshal(struct {
		Version string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", method, params})
}

// cancelled returns the notification that tells a server to stop working on a call.
func cancelled(id int64, reason string) []byte {
	b, err := notification("notifications/cancelled", map[string]any{"requestId": id, "reason": reason})
	if err != nil {
		return nil // Marshal does not fail for these types
	}
	return b
}
