package openaitest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Reply is how one completion is answered.
type Reply struct {
	// Reasoning and Content are sent word by word, ToolCalls after them.
	Reasoning string
	Content   string
	ToolCalls []ToolCall
	// FinishReason, when empty, is stop or tool_calls.
	FinishReason string
	// Usage, when nil, is counted as four bytes a token.
	Usage *Usage

	// Status, unless 0 or 200, answers with Error and Header instead.
	Status int
	Error  *Error
	Header http.Header

	// Delay comes before each piece of a stream, and before an answer that is
	// not streamed once.
	Delay time.Duration
	// Fault, unless it is None, happens once FaultAfter pieces were streamed; in
	// an answer that is not streamed, in its place.
	Fault      Fault
	FaultAfter int
}

// Fault is what goes wrong with an answer.
type Fault int

// The faults.
const (
	None Fault = iota
	// Cut breaks the connection.
	Cut
	// Malformed sends a chunk that is not JSON.
	Malformed
	// Hang sends nothing more until the client leaves. Nothing at all, not even
	// a status, is sent when FaultAfter is 0.
	Hang
	// ErrorEvent sends Error as an event of the stream.
	ErrorEvent
	// End ends the stream in good order, but without a finish reason and [DONE].
	End
)

// ToolCall is a tool that the model asks for.
type ToolCall struct {
	ID, Name string
	// Arguments are streamed in pieces of about five bytes.
	Arguments string
}

// Usage is OpenAI's count of tokens.
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

// Error is the body of a refusal. Empty Param and Code are sent as null.
type Error struct {
	Message, Type, Param, Code string
}

// Text replies with words.
func Text(content string) Reply { return Reply{Content: content} }

// Tools replies with calls.
func Tools(calls ...ToolCall) Reply { return Reply{ToolCalls: calls} }

// RateLimited is a 429 that asks to wait; 0 leaves Retry-After out.
func RateLimited(retryAfter time.Duration) Reply {
	r := Fail(http.StatusTooManyRequests, Error{
		Message: "Rate limit reached for requests. Please try again later.", Type: "requests", Code: "rate_limit_exceeded",
	})
	if retryAfter > 0 {
		r.Header = http.Header{"Retry-After": {strconv.FormatFloat(retryAfter.Seconds(), 'f', -1, 64)}}
	}
	return r
}

// NoQuota is the 429 of an account without credit.
func NoQuota() Reply {
	return Fail(http.StatusTooManyRequests, Error{
		Message: "You exceeded your current quota, please check your plan and billing details.",
		Type:    "insufficient_quota", Code: "insufficient_quota",
	})
}

// ServerError is a 500.
func ServerError() Reply {
	return Fail(http.StatusInternalServerError, Error{
		Message: "The server had an error while processing your request. Sorry about that!", Type: "server_error",
	})
}

// Fail refuses with a status.
func Fail(status int, e Error) Reply { return Reply{Status: status, Error: &e} }

// With gives r a fault after some pieces.
func (r Reply) With(f Fault, after int) Reply {
	r.Fault, r.FaultAfter = f, after
	return r
}

// words cuts a text before its spaces, so that the pieces make the text again.
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

// pieces cuts arguments between any two characters.
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
