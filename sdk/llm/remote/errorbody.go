package remote

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// ErrorBody is what a server says about an error.
type ErrorBody struct {
	// Message is the text for people.
	Message string
	// Type contains the server's code and type of the error in lower case, or is empty.
	Type string
	// Status is the HTTP status code in the body, or 0.
	Status int
}

// ParseError returns the error in the body of a response or in an event of a stream. It knows the forms of
// OpenAI ({"error": {…}} and {"error": "…"}), of vLLM ({"object": "error", "message": "…"}), of FastAPI
// ({"detail": …}) and of others ({"errors": […]}, {"message": "…"}). ok reports whether body has one of them.
func ParseError(body []byte) (e ErrorBody, ok bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimPrefix(body, []byte("\uFEFF")), &fields) != nil {
		return ErrorBody{}, false
	}
	for _, name := range []string{"error", "errors", "detail", "message"} {
		value, found := fields[name]
		if !found || isEmptyJSON(value) {
			continue
		}
		e = errorOf(value)
		if name == "message" || e.Message == "" && e.Type == "" {
			e = merge(e, errorFields(fields))
		}
		if e.Message != "" || e.Type != "" {
			return e, true
		}
	}
	return ErrorBody{}, false
}

func isEmptyJSON(value json.RawMessage) bool {
	switch string(value) {
	case "null", `""`, "false", "[]", "{}":
		return true
	}
	return false
}

// errorOf returns the error in a string, an object, or the first element of a list.
func errorOf(value json.RawMessage) ErrorBody {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) == nil && len(list) > 0 {
		value = list[0] // not recursively, because each level of a deep nesting would read the whole rest again
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(value, &fields) == nil {
		return errorFields(fields)
	}
	return ErrorBody{Message: text(value)}
}

// errorFields returns the error in the fields of an object.
func errorFields(fields map[string]json.RawMessage) ErrorBody {
	var e ErrorBody
	for _, name := range []string{"message", "msg", "detail", "error"} {
		if e.Message = text(fields[name]); e.Message != "" {
			break
		}
	}
	e.Type = strings.ToLower(strings.TrimSpace(text(fields["code"]) + " " + text(fields["type"])))
	for _, name := range []string{"code", "status", "status_code"} {
		var status int
		if json.Unmarshal(fields[name], &status) == nil && status >= 400 && status < 600 {
			e.Status = status
			break
		}
	}
	return e
}

// merge returns a with the fields of b that a lacks.
func merge(a, b ErrorBody) ErrorBody {
	if a.Message == "" {
		a.Message = b.Message
	}
	if a.Type == "" {
		a.Type = b.Type
	}
	if a.Status == 0 {
		a.Status = b.Status
	}
	return a
}

// text returns a JSON string or number as text, or "".
func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(value, &n) == nil {
		return n.String()
	}
	return ""
}

// PlainError returns the text of an error response that is not JSON, or "" if it is a web page or binary.
func PlainError(body []byte) string {
	s := strings.TrimSpace(string(body))
	if strings.HasPrefix(s, "<") || strings.HasPrefix(s, "{") || !utf8.ValidString(s) {
		return ""
	}
	return s
}
