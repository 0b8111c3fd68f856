package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// JSON-RPC's own error codes, and MCP's.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeMethodNotFound = -32601
	codeInvalidParams  = -32602
	// codeServer is of what the gateway or the child's transport has to say.
	codeServer = -32000
	// codeTimeout and codeNoSession share a number in the field: what the
	// TypeScript SDK uses for both.
	codeTimeout            = -32001
	codeNoSession          = -32001
	codeHeaderMismatch     = -32020
	codeMissingCapability  = -32021
	codeUnsupportedVersion = -32022
)

// message is one JSON-RPC message, compact; its parts are slices of raw.
type message struct {
	raw    []byte
	id     []byte
	method string
	params []byte
	result []byte
	err    []byte
	// idStart and idEnd are where the id stands.
	idStart, idEnd int
}

// isRequest is of what wants an answer.
func (m *message) isRequest() bool { return m.method != "" && m.id != nil }

func (m *message) isResponse() bool { return m.method == "" }

// withID is the message with another id.
func (m *message) withID(id []byte) []byte {
	out := make([]byte, 0, len(m.raw)+len(id))
	out = append(out, m.raw[:m.idStart]...)
	out = append(out, id...)
	return append(out, m.raw[m.idEnd:]...)
}

// errorCode is the code of an answer that is an error; 0 for another.
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

// parse takes a message apart. It gives what could be read of it with an error.
func parse(b []byte) (*message, error) {
	raw, err := compact(b)
	if err != nil {
		return nil, err
	}
	return cut(raw)
}

// cut is parse for what is compact.
func cut(raw []byte) (*message, error) {
	m := &message{raw: raw}
	var version, method []byte
	seen, twice := 0, false
	err := members(raw, func(key string, start, end int) bool {
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
		twice = twice || seen&bit != 0 // readers would differ in which they take
		seen |= bit
		return true
	})
	if err != nil {
		return nil, err
	}
	m.method = text(method)
	if twice {
		return m, errors.New("no member may be there twice")
	}
	return m, m.check(version, method)
}

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
		return errors.New(`"method" must be a string that is not empty`)
	case method != nil && m.params != nil && m.params[0] != '{':
		return errors.New(`"params" must be an object`)
	case method != nil:
		return nil
	case m.id == nil:
		return errors.New(`there is neither "method" nor "id"`)
	case (m.result == nil) == (m.err == nil):
		return errors.New(`an answer has either "result" or "error"`)
	}
	return nil
}

// checkID refuses null, which no answer could be told by, and what is no id.
func checkID(id []byte) error {
	switch {
	case id[0] == '"':
		return nil
	case id[0] != '-' && (id[0] < '0' || id[0] > '9'):
		return errors.New(`"id" must be a string or an integer, and not null`)
	case bytes.ContainsAny(id, ".eE"):
		return errors.New(`"id" must be a string or an integer`)
	}
	return nil
}

// batch takes an array of messages apart; nil when raw is none.
func batch(raw []byte) [][]byte {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	items := [][]byte{}
	for i := 1; raw[i] != ']'; {
		if raw[i] == ',' {
			i++
		}
		end := skip(raw, i)
		items = append(items, raw[i:end])
		i = end
	}
	return items
}

// rpcError is an error that a client is answered with.
type rpcError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
	// status is HTTP's; 0 leaves it to the code.
	status int
}

func (e *rpcError) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// answer is the JSON-RPC answer to the request with the id; nil stands for one
// that could not be read.
func (e *rpcError) answer(id []byte) []byte {
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

func notification(method string, params any) ([]byte, error) {
	return json.Marshal(struct {
		Version string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", method, params})
}

// cancelled tells a child that nobody waits for an answer any more.
func cancelled(id int64, reason string) []byte {
	b, err := notification("notifications/cancelled", map[string]any{"requestId": id, "reason": reason})
	if err != nil {
		return nil // it does not fail for these
	}
	return b
}
