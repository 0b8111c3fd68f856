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

// server is the config of an MCP server.
type server struct {
	url     *url.URL
	headers http.Header
}

const (
	maxURL         = 2048
	maxHeaders     = 64
	maxHeaderValue = 8 << 10
)

// parse decodes and validates the config of a server. It returns an *sdk.ConfigError for each problem.
// These contain no values, because values may be secret.
func (w *Web) parse(config json.RawMessage) (server, error) {
	var raw struct {
		URL     string            `config:"url,required" doc:"URL of the server, such as https://mcp.example.com/mcp"`
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
			errs = append(errs, &sdk.ConfigError{Path: []string{"headers", name}, Summary: "is a duplicate"})
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
		return nil, "is not a URL"
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "must start with https:// or http://"
	case u.User != nil:
		return nil, "must not contain a user name or a password; use an Authorization header"
	case u.Hostname() == "":
		return nil, "has no host"
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, "must not contain a fragment"
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, "has no valid port"
		}
	}
	if err := w.guard.Check(u.Hostname()); err != nil {
		return nil, blockedMessage(err)
	}
	return u, ""
}

// reserved lists the headers that the transport itself sets. A name that ends in a hyphen is a prefix.
var reserved = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-", "Expect",
	"Host", "Keep-Alive", "Last-Event-Id", "Mcp-", "Proxy-",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// headerIssue returns the reason why a header is invalid, or "" if it is valid.
func headerIssue(name, value string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
		return "is not a valid header name"
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
		return "starts or ends with a space"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "contains a control character"
	}
	return ""
}

// isToken reports whether r is allowed in a header name.
func isToken(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
		strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
