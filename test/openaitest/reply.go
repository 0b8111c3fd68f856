package openaitest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Reply is the answer to one completion.
type Reply struct {
	// Reasoning and Content are sent word by word, followed by ToolCalls.
	Reasoning string
	Content   string
	ToolCalls []ToolCall
	// FinishReason defaults to tool_calls if there are ToolCalls, and else to stop.
	FinishReason string
	// Usage defaults to one token for four bytes.
	Usage *Usage

	// Status, unless it is 0 or 200, makes the server answer with Error and Header instead.
	Status int
	Error  *Error
	Header http.Header

	// Delay is the time before each piece of a stream, or before an answer that is not streamed.
	Delay time.Duration
	// Fault, unless it is None, happens after FaultAfter pieces of a stream, or instead of an answer
	// that is not streamed.
	Fault      Fault
	FaultAfter int
}

// Fault is a way in which an answer fails.
type Fault int

// The faults.
const (
	None Fault = iota
	// Cut closes the connection.
	Cut
	// Malformed sends a chunk that is not JSON.
	Malformed
	// Hang sends nothing more until the client disconnects. If FaultAfter is 0, not even a status is sent.
	Hang
	// ErrorEvent sends Error as an event of the stream.
	ErrorEvent
	// End ends the stream properly, but without a finish reason and [DONE].
	End
)

// ToolCall is a call of a tool by the model.
type ToolCall struct {
	ID, Name string
	// Arguments are streamed in pieces of about five bytes.
	Arguments string
}

// Usage has OpenAI's counts of tokens.
type Usage struct {
	PromptTokens            int64                   `json:"prompt_tokens"`
	CompletionTokens        int64                   `json:"completion_tokens"`
	TotalTokens             int64                   `json:"total_tokens"`
	PromptTokensDetails     PromptTokensDetails     `json:"prompt_tokens_details"`
	CompletionTokensDetails CompletionTokensDetails `json:"completion_tokens_details"`
}

// PromptTokensDetails are parts of PromptTokens.
type PromptTokensDetails struct {
	CachedTokens int64 `json:"cached_tokens"`
	AudioTokens  int64 `json:"audio_tokens"`
}

// CompletionTokensDetails are parts of CompletionTokens.
type CompletionTokensDetails struct {
	ReasoningTokens          int64 `json:"reasoning_tokens"`
	AudioTokens              int64 `json:"audio_tokens"`
	AcceptedPredictionTokens int64 `json:"accepted_prediction_tokens"`
	RejectedPredictionTokens int64 `json:"rejected_prediction_tokens"`
}

// Error is the body of an error response. Empty Param and Code are sent as null.
type Error struct {
	Message, Type, Param, Code string
}

// Text returns a reply with a text.
func Text(content string) Reply { return Reply{Content: content} }

// Tools returns a reply with tool calls.
func Tools(calls ...ToolCall) Reply { return Reply{ToolCalls: calls} }

// RateLimited returns a 429 with Retry-After, or without it if the time is 0.
func RateLimited(retryAfter time.Duration) Reply {
	r := Fail(http.StatusTooManyRequests, Error{
		Message: "Rate limit reached for requests. Please try again later.", Type: "requests", Code: "rate_limit_exceeded",
	})
	if retryAfter > 0 {
		r.Header = http.Header{"Retry-After": {strconv.FormatFloat(retryAfter.Seconds(), 'f', -1, 64)}}
	}
	return r
}

// NoQuota returns the 429 of an account without credit.
func NoQuota() Reply {
	return Fail(http.StatusTooManyRequests, Error{
		Message: "You exceeded your current quota, please check your plan and billing details.",
		Type:    "insufficient_quota", Code: "insufficient_quota",
	})
}

// ServerError returns a reply with status 500.
func ServerError() Reply {
	return Fail(http.StatusInternalServerError, Error{
		Message: "The server had an error while processing your request. Sorry about that!", Type: "server_error",
	})
}

// Fail returns an error reply with a status.
func Fail(status int, e Error) Reply { return Reply{Status: status, Error: &e} }

// With returns r with a fault after some pieces.
func (r Reply) With(f Fault, after int) Reply {
	r.Fault, r.FaultAfter = f, after
	return r
}

// words splits a text before each space. Joined, the pieces are the text.
func words(text string) []string {
	var out []string
	for text != "" {
		i := strings.IndexByte(text[1:], ' ')
		if i < 0 {
			return append(out, text)
		}
		out = append(out, text[:i+1])
		text = text[i+1:]
	}
	return out
}

// pieces splits arguments into pieces of about five bytes, between any two characters.
func pieces(arguments string) []string {
	var out []string
	for len(arguments) > 5 {
		n := 5
		for !utf8.RuneStart(arguments[n]) {
			n--
		}
		out = append(out, arguments[:n])
		arguments = arguments[n:]
	}
	return append(out, arguments)
}
