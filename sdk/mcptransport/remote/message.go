package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// ErrTooLong is the error of a body that is longer than mcptransport.MaxMessage.
var ErrTooLong = errors.New("the message is too long")

// codeInternal is the JSON-RPC error code for an internal error.
const codeInternal = -32603

// ErrorAnswer returns an error response to the request with the ID.
func ErrorAnswer(id json.RawMessage, message string) []byte {
	text, _ := json.Marshal(message)
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}`, id, codeInternal, text)
}

// TooLongAnswer returns an error response that replaces a response longer than mcptransport.MaxMessage.
func TooLongAnswer(id json.RawMessage) []byte {
	return ErrorAnswer(id, fmt.Sprintf("the server's answer is longer than %d MiB", mcptransport.MaxMessage>>20))
}

// ReadAll reads a body. It returns ErrTooLong if the body is longer than mcptransport.MaxMessage.
func ReadAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, mcptransport.MaxMessage+1))
	if err == nil && len(data) > mcptransport.MaxMessage {
		return nil, ErrTooLong
	}
	return data, err
}

// Messages returns the messages of a body or an event: one message, or those of a batch. It removes line
// breaks between tokens and changes nothing else.
func Messages(data []byte) ([][]byte, error) {
	if bytes.ContainsAny(data, "\r\n") {
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			return nil, errors.New("not valid JSON")
		}
		data = compact.Bytes()
	} else if !json.Valid(data) {
		return nil, errors.New("not valid JSON")
	}
	data = bytes.Trim(data, " \t")
	switch data[0] {
	case '{':
		return [][]byte{data}, nil
	case '[':
		var batch []json.RawMessage
		if err := json.Unmarshal(data, &batch); err != nil {
			return nil, err
		}
		var messages [][]byte
		for _, m := range batch {
			if len(m) == 0 || m[0] != '{' {
				return nil, errors.New("the batch contains a value that is not a message")
			}
			messages = append(messages, m)
		}
		return messages, nil
	}
	return nil, errors.New("not a JSON object")
}

// WithID returns a copy of a response with another ID. Apart from the order of its members, the rest of
// the response is unchanged.
func WithID(answer []byte, id json.RawMessage) []byte {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(answer, &members); err != nil {
		return answer
	}
	members["id"] = id
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(members); err != nil {
		return answer
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
