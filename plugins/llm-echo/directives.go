package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// directives are the commands at the start of a user's message, in any order, separated by
// white space:
//
//	/tokens N          answer with N tokens instead of the rest of the message
//	/delay D           wait D before each token, such as 20ms or 1s
//	/tool NAME {json}  call the tool, if the request offers it; may be repeated
//	/error CODE        fail with the code, such as unavailable or rate_limited
//	/crash             exit the process, if allow_crash is set
//
// With /tokens N, /error and /crash take effect after the tokens have been sent. The text
// after the directives is echoed.
type directives struct {
	tokens int
	delay  time.Duration
	tools  []sdk.ToolCall
	fail   sdk.ErrorCode
	crash  bool
	// rest is the message without the directives.
	rest string
}

const (
	maxTokens = 100_000
	maxDelay  = time.Minute
)

// retryableCodes has the codes that /error accepts, and whether a retry may help.
var retryableCodes = map[sdk.ErrorCode]bool{
	sdk.CodeRateLimited: true, sdk.CodeUnavailable: true, sdk.CodeTimeout: true,
	sdk.CodeUnauthorized: false, sdk.CodeInvalidRequest: false, sdk.CodeNotFound: false,
	sdk.CodeContentFilter: false, sdk.CodeContextTooLong: false, sdk.CodeInternal: false,
}

// parseDirectives reads the directives of a message. An unknown directive is text; invalid
// arguments are an error.
func parseDirectives(text string) (*directives, error) {
	d := &directives{tokens: -1, rest: text}
	for {
		trimmed := strings.TrimLeft(d.rest, " \t\r\n")
		word, rest := cutWord(trimmed)
		var err error
		switch word {
		case "/tokens":
			d.rest, err = d.setTokens(rest)
		case "/delay":
			d.rest, err = d.setDelay(rest)
		case "/tool":
			d.rest, err = d.addTool(rest)
		case "/error":
			d.rest, err = d.setError(rest)
		case "/crash":
			d.crash, d.rest = true, rest
		default:
			if len(d.rest) < len(text) {
				d.rest = trimmed
			}
			return d, nil
		}
		if err != nil {
			return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: word + " " + err.Error()}
		}
	}
}

// cutWord returns the first word of s and the rest.
func cutWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t\r\n")
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// setTokens parses the argument of /tokens and returns the rest of s.
func (d *directives) setTokens(s string) (string, error) {
	word, rest := cutWord(s)
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n > maxTokens {
		return "", fmt.Errorf("requires a number from 0 to %d, such as /tokens 50", maxTokens)
	}
	d.tokens = n
	return rest, nil
}

// setDelay parses the argument of /delay and returns the rest of s.
func (d *directives) setDelay(s string) (string, error) {
	word, rest := cutWord(s)
	delay, err := time.ParseDuration(word)
	if err != nil || delay < 0 || delay > maxDelay {
		return "", fmt.Errorf("requires a duration of at most %s, such as /delay 20ms", maxDelay)
	}
	d.delay = delay
	return rest, nil
}

// addTool parses the arguments of /tool and returns the rest of s.
func (d *directives) addTool(s string) (string, error) {
	errSyntax := errors.New(`requires a tool's name and a JSON object, such as /tool clock {"zone":"UTC"}`)
	name, rest := cutWord(s)
	in := json.NewDecoder(strings.NewReader(rest))
	var arguments map[string]any
	if err := in.Decode(&arguments); name == "" || err != nil {
		return "", errSyntax
	}
	end := in.InputOffset()
	d.tools = append(d.tools, sdk.ToolCall{Name: name, Arguments: strings.TrimSpace(rest[:end])})
	return rest[end:], nil
}

// setError parses the argument of /error and returns the rest of s.
func (d *directives) setError(s string) (string, error) {
	word, rest := cutWord(s)
	if _, ok := retryableCodes[sdk.ErrorCode(word)]; !ok {
		return "", errors.New("requires a code: rate_limited, unavailable, timeout, unauthorized, invalid_request, " +
			"not_found, content_filter, context_too_long or internal")
	}
	d.fail = sdk.ErrorCode(word)
	return rest, nil
}
