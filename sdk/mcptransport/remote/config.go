package remote

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// server is a server's config.
type server struct {
	url     *url.URL
	headers http.Header
}

const (
	maxURL         = 2048
	maxHeaders     = 64
	maxHeaderValue = 8 << 10
)

// parse fails with *sdk.ConfigErrors, which hold no value: values may be secret.
func (w *Web) parse(config json.RawMessage) (server, error) {
	var raw struct {
		URL     string            `config:"url,required" doc:"where the server is: https://mcp.example.com/mcp"`
		Headers map[string]string `config:"headers,secret" doc:"sent with every request"`
	}
	if err := plugin.Decode(config, &raw); err != nil {
		return server{}, err
	}
	u, issue := w.parseURL(raw.URL)
	var errs []error
	if issue != "" {
		errs = append(errs, &sdk.ConfigError{Path: []string{"url"}, Summary: issue})
	}
	headers := http.Header{}
	if len(raw.Headers) > maxHeaders {
		errs = append(errs, &sdk.ConfigError{Path: []string{"headers"}, Summary: "has more than " + strconv.Itoa(maxHeaders)})
	}
	for _, name := range slices.Sorted(maps.Keys(raw.Headers)) {
		if issue := headerIssue(name, raw.Headers[name]); issue != "" {
			errs = append(errs, &sdk.ConfigError{Path: []string{"headers", name}, Summary: issue})
		} else if headers.Get(name) != "" {
			errs = append(errs, &sdk.ConfigError{Path: []string{"headers", name}, Summary: "is there twice"})
		} else {
			headers.Set(name, raw.Headers[name])
		}
	}
	return server{url: u, headers: headers}, errors.Join(errs...)
}

func (w *Web) parseURL(text string) (u *url.URL, issue string) {
	if len(text) > maxURL {
		return nil, "is longer than " + strconv.Itoa(maxURL) + " characters"
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return nil, "is no URL"
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "must begin with https:// or http://"
	case u.User != nil:
		return nil, "must not hold a user name or a password: write an Authorization header"
	case u.Hostname() == "":
		return nil, "names no host"
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, "must not hold a fragment"
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, "holds no valid port"
		}
	}
	if err := w.guard.Check(u.Hostname()); err != nil {
		return nil, refusal(err)
	}
	return u, ""
}

// reserved are the headers that say how a message travels, which is the
// transport's to say. A name that ends in - stands for all that begin so.
var reserved = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-", "Expect", "Host", "Keep-Alive", "Last-Event-Id", "Mcp-", "Proxy-",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func headerIssue(name, value string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
		return "is no name of a header"
	}
	canonical := http.CanonicalHeaderKey(name)
	for _, r := range reserved {
		if canonical == r || strings.HasSuffix(r, "-") && strings.HasPrefix(canonical, r) {
			return "is set by the transport"
		}
	}
	switch {
	case value == "":
		return "is empty"
	case len(value) > maxHeaderValue:
		return "is longer than " + strconv.Itoa(maxHeaderValue) + " bytes"
	case strings.TrimSpace(value) != value:
		return "begins or ends with a space"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "holds a control character"
	}
	return ""
}

// isToken says whether r may be in the name of a header.
func isToken(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
