package openaitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sort"
)

// Request is a request for a completion.
type Request struct {
	Header http.Header `json:"-"`
	Body   []byte      `json:"-"`

	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
	Tools    []Tool    `json:"tools"`
	Stream   bool      `json:"stream"`

	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Temperature         *float64        `json:"temperature"`
	TopP                *float64        `json:"top_p"`
	MaxTokens           *int64          `json:"max_tokens"`
	MaxCompletionTokens *int64          `json:"max_completion_tokens"`
	Stop                json.RawMessage `json:"stop"`
}

// Message is a message of the prompt.
type Message struct {
	Role string `json:"role"`
	// Content is a string, a list of parts, or null.
	Content    json.RawMessage `json:"content"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// Tool is a tool that the model may call.
type Tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// Text returns the content if it is a string, and else "".
func (m Message) Text() string {
	var s string
	if json.Unmarshal(m.Content, &s) != nil {
		return ""
	}
	return s
}

func (r *Request) includeUsage() bool { return r.StreamOptions != nil && r.StreamOptions.IncludeUsage }

// known are the parameters of the published API.
var known = []string{
	"audio", "frequency_penalty", "function_call", "functions",
	"logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
	"messages", "metadata", "modalities", "model", "n", "parallel_tool_calls",
	"prediction", "presence_penalty", "prompt_cache_key",
	"prompt_cache_retention", "reasoning_effort", "response_format",
	"safety_identifier", "seed", "service_tier", "stop", "store",
	"stream", "stream_options", "temperature", "tool_choice", "tools",
	"top_logprobs", "top_p", "user", "verbosity", "web_search_options",
}

var (
	functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	reasoning    = regexp.MustCompile(`^(o[0-9]|gpt-5)`)
)

func readRequest(r *http.Request) (*Request, *Error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, invalid("", "", "The body can't be read.")
	}
	req := &Request{Header: r.Header.Clone(), Body: body}
	if err := json.Unmarshal(body, req); err != nil {
		return req, invalid("", "", "We could not parse the JSON body of your request. (%v)", err)
	}
	return req, nil
}

// check returns the error with which OpenAI rejects a request, or nil.
func (s *Server) check(req *Request) (int, *Error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(req.Body, &fields); err != nil {
		return http.StatusBadRequest, invalid("", "", "The body is not an object.")
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return http.StatusBadRequest, invalid("", "", "Unrecognized request argument supplied: %s", name)
		}
	}
	switch {
	case req.Model == "":
		return http.StatusBadRequest, invalid("", "", "you must provide a model parameter")
	case !slices.Contains(s.opts.Models, req.Model):
		e := invalid("", "model_not_found", "The model `%s` does not exist or you do not have access to it.", req.Model)
		return http.StatusNotFound, e
	case req.StreamOptions != nil && !req.Stream:
		return http.StatusBadRequest, invalid("stream_options", "",
			"The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	case req.MaxTokens != nil && reasoning.MatchString(req.Model):
		return http.StatusBadRequest, invalid("max_tokens", "unsupported_parameter",
			"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
	case req.Temperature != nil && (*req.Temperature < 0 || *req.Temperature > 2):
		return http.StatusBadRequest, invalid("temperature", "decimal_above_max_value",
			"Invalid 'temperature': expected a value from 0 to 2.")
	}
	for i, t := range req.Tools {
		if t.Type != "function" || !functionName.MatchString(t.Function.Name) {
			return http.StatusBadRequest, invalid(fmt.Sprintf("tools[%d].function.name", i), "invalid_value",
				"Invalid 'tools[%d].function.name': string does not match pattern. Expected a string that matches the pattern "+
					"'^[a-zA-Z0-9_-]+$'.", i)
		}
	}
	if e := checkMessages(req.Messages); e != nil {
		return http.StatusBadRequest, e
	}
	if n := promptTokens(req); s.opts.ContextTokens > 0 && n > s.opts.ContextTokens {
		return http.StatusBadRequest, invalid("messages", "context_length_exceeded",
			"This model's maximum context length is %d tokens. However, your messages resulted in %d tokens. Please reduce "+
				"the length of the messages.",
			s.opts.ContextTokens, n)
	}
	return 0, nil
}

// checkMessages checks that each tool call has its tool message.
func checkMessages(messages []Message) *Error {
	if len(messages) == 0 {
		return invalid("messages", "empty_array",
			"Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	var open []string
	for i, m := range messages {
		at := fmt.Sprintf("messages.[%d]", i)
		if m.Role == "tool" {
			n := slices.Index(open, m.ToolCallID)
			if n < 0 {
				return invalid(at+".role", "",
					"Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.")
			}
			open = slices.Delete(open, n, n+1)
			continue
		}
		if len(open) > 0 {
			return unanswered(at, open)
		}
		switch m.Role {
		case "system", "developer", "user", "assistant":
		default:
			return invalid(at+".role", "invalid_value",
				"Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
				m.Role)
		}
		if isNull(m.Content) && len(m.ToolCalls) == 0 {
			return invalid(at+".content", "", "Invalid value for 'content': expected a string, got null.")
		}
		for _, c := range m.ToolCalls {
			if c.ID == "" || c.Type != "function" || c.Function.Name == "" {
				return invalid(at+".tool_calls", "missing_required_parameter", "Missing required parameter in '%s.tool_calls'.", at)
			}
			open = append(open, c.ID)
		}
	}
	if len(open) > 0 {
		return unanswered(fmt.Sprintf("messages.[%d]", len(messages)-1), open)
	}
	return nil
}

func unanswered(at string, ids []string) *Error {
	return invalid(at+".role", "",
		"An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "+
			"The following tool_call_ids did not have response messages: %v", ids)
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func promptTokens(req *Request) int {
	n := 3
	for _, m := range req.Messages {
		n += 4 + len(m.Content)/4
		for _, c := range m.ToolCalls {
			n += (len(c.Function.Name) + len(c.Function.Arguments)) / 4
		}
	}
	for _, t := range req.Tools {
		n += (len(t.Function.Name) + len(t.Function.Description) + len(t.Function.Parameters)) / 4
	}
	return n
}

func invalid(param, code, message string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(message, args...), Type: "invalid_request_error", Param: param, Code: code}
}
