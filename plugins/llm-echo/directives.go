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

// directives are what a user's message may begin with, in any order, a space
// or a new line between them:
//
//	/tokens N          answer with N tokens instead of the rest of the message
//	/delay D           wait D before each token: 20ms, 1s
//	/tool NAME {json}  ask for the tool, if the request offers it; may be repeated
//	/error CODE        fail with the code, such as unavailable or rate_limited
//	/crash             end the process, if allow_crash is set
//
// After /tokens N, /error and /crash come in mid-answer: the tokens are sent
// first. What follows the directives is echoed.
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
	mostTokens   = 100_000
	longestDelay = time.Minute
)

// codes are those of /error, with whether a retry may help.
var codes = map[sdk.ErrorCode]bool{
	sdk.CodeRateLimited: true, sdk.CodeUnavailable: true, sdk.CodeTimeout: true,
	sdk.CodeUnauthorized: false, sdk.CodeInvalidRequest: false, sdk.CodeNotFound: false,
	sdk.CodeContentFilter: false, sdk.CodeContextTooLong: false, sdk.CodeInternal: false,
}

// parse reads the directives of a message. One that is not known is no
// directive, but text; one that is written wrong is an error.
func parse(text string) (*directives, error) {
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

// cutWord takes the first word of s.
func cutWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t\r\n")
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func (d *directives) setTokens(s string) (string, error) {
	word, rest := cutWord(s)
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n > mostTokens {
		return "", fmt.Errorf("takes a number from 0 to %d, such as /tokens 50", mostTokens)
	}
	d.tokens = n
	return rest, nil
}

func (d *directives) setDelay(s string) (string, error) {
	word, rest := cutWord(s)
	delay, err := time.ParseDuration(word)
	if err != nil || delay < 0 || delay > longestDelay {
		return "", fmt.Errorf("takes a duration of at most %s, such as /delay 20ms", longestDelay)
	}
	d.delay = delay
	return rest, nil
}

func (d *directives) addTool(s string) (string, error) {
	wrong := errors.New(`takes a tool's name and a JSON object, such as /tool clock {"zone":"UTC"}`)
	name, rest := cutWord(s)
	in := json.NewDecoder(strings.NewReader(rest))
	var arguments map[string]any
	if err := in.Decode(&arguments); name == "" || err != nil {
		return "", wrong
	}
	end := in.InputOffset()
	d.tools = append(d.tools, sdk.ToolCall{Name: name, Arguments: strings.TrimSpace(rest[:end])})
	return rest[end:], nil
}

func (d *directives) setError(s string) (string, error) {
	word, rest := cutWord(s)
	if _, ok := codes[sdk.ErrorCode(word)]; !ok {
		return "", errors.New("takes a code: rate_limited, unavailable, timeout, unauthorized, invalid_request, not_found, content_filter, context_too_long or internal")
	}
	d.fail = sdk.ErrorCode(word)
	return rest, nil
}
