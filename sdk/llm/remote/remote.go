// Package remote helps to write providers of language models that use HTTP APIs. It validates their
// configuration, provides an HTTP client for many concurrent streams, and converts errors to
// *sdk.Error without secrets.
package remote

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/agentarea/agentarea/sdk"
)

// Settings is the configuration of the server that a provider uses.
type Settings struct {
	// BaseURL is the URL of the API. Errors about an invalid BaseURL suggest Example.
	BaseURL, Example string
	// APIKey is required if the host of BaseURL is OfficialHost or one of its subdomains. Errors about a
	// missing APIKey suggest the environment variable KeyName.
	APIKey, OfficialHost, KeyName string
	// Headers are sent with every request.
	Headers map[string]string
	// Timeout is the time that the server has to start its answer.
	Timeout time.Duration
	// StallTimeout is the time for which the server may send nothing in the middle of an answer. If it is 0, there
	// is no limit.
	StallTimeout time.Duration
}

// Server is the server that a provider uses.
type Server struct {
	// URL is the URL of the API without a trailing slash. Host names its host in error messages. Because users see
	// them, it is "the provider" for an address or a name of an internal network.
	URL, Host string
	// address is the host of the URL.
	address string
	// Official reports whether the server is the original one and not a compatible one.
	Official bool
	// Timeout is the time that the server has to start its answer.
	Timeout      time.Duration
	stallTimeout time.Duration
	client       *http.Client
	redact       *strings.Replacer
}

// New returns the server of the settings. The error contains an *sdk.ConfigError for each invalid
// setting.
func New(s Settings) (*Server, error) {
	u, err := baseURL(s.BaseURL, s.Example)
	if err != nil {
		return nil, err
	}
	var errs []error
	bad := func(summary, detail string, path ...string) {
		errs = append(errs, &sdk.ConfigError{Path: path, Summary: summary, Detail: detail})
	}
	official := s.OfficialHost != "" &&
		(u.Hostname() == s.OfficialHost || strings.HasSuffix(u.Hostname(), "."+s.OfficialHost))
	if official && s.APIKey == "" {
		bad("missing; "+u.Host+" requires an API key", "Set "+s.KeyName+` and write api_key = env("`+s.KeyName+
			`"), or disable the block with enabled = false, or set base_url to another server`, "api_key")
	}
	if !httpguts.ValidHeaderFieldValue(s.APIKey) {
		bad("contains a character that is not allowed in a header", "Write only the key, on one line", "api_key")
	}
	if s.Timeout <= 0 {
		bad("must be greater than 0", `Write a duration, such as "60s"`, "timeout")
	}
	if s.StallTimeout < 0 {
		bad("must not be negative", `Write a duration, such as "5m", or "0s" for no limit`, "stall_timeout")
	}
	secrets := []string{s.APIKey}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		value := s.Headers[name]
		secrets = append(secrets, value, strings.TrimPrefix(value, "Bearer "))
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			bad("not a valid HTTP header", "Use a name of letters, digits and hyphens, and a value on one line", "headers", name)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	server := &Server{
		URL: strings.TrimSuffix(u.String(), "/"), Host: publicHost(u),
		address: u.Host, Official: official, Timeout: s.Timeout, stallTimeout: s.StallTimeout, redact: redactor(secrets),
	}
	server.client = &http.Client{Transport: roundTripper{transport(), s.Headers, server}}
	return server, nil
}

// publicHost returns the host of a URL if its name is one of the public domain name system, or else "the provider".
func publicHost(u *url.URL) string {
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	domain := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case net.ParseIP(name) != nil, domain == name, slices.Contains(internalDomains, domain):
		return "the provider"
	}
	return u.Host
}

// internalDomains are top-level domains that are not part of the public domain name system.
var internalDomains = []string{
	"internal", "local", "localhost", "localdomain", "lan", "home", "corp", "intranet", "private", "arpa", "svc", "test",
}

// Client returns the HTTP client for requests to the server. It has no timeout. It can keep a
// connection for each of many concurrent streams.
func (s *Server) Client() *http.Client { return s.client }

// Redact replaces the secrets of the settings in a text by "***".
func (s *Server) Redact(text string) string { return s.redact.Replace(text) }

// baseURL parses and validates the base URL.
func baseURL(raw, example string) (*url.URL, error) {
	bad := func(summary string) error {
		return &sdk.ConfigError{
			Path: []string{"base_url"}, Summary: summary, Detail: `Write the URL of the API, such as "` + example + `"`,
		}
	}
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil:
		return nil, bad("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, bad("must start with http:// or https://")
	case u.Host == "":
		return nil, bad("has no host")
	case u.User != nil:
		return nil, bad("must not contain a user or password; use api_key or headers")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, bad("must not contain a query or fragment")
	}
	return u, nil
}

// transport returns a transport that keeps more than the default of two idle connections per host. It
// sends HTTP/2 pings to detect that the peer is gone.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       90 * time.Second,
		// Compression would delay the pieces of a stream.
		DisableCompression: true,
	}
}

// roundTripper adds the headers, and the trace headers of the context, to every request. It unzips the bodies of
// responses and limits the time that the server may send nothing.
type roundTripper struct {
	next    http.RoundTripper
	headers map[string]string
	server  *Server
}

// RoundTrip implements http.RoundTripper.
func (w roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := sdk.TraceOf(r.Context())
	if len(w.headers) > 0 || trace.Parent != "" {
		r = r.Clone(r.Context())
		trace.SetHeaders(r.Header)
		for name, value := range w.headers {
			r.Header.Set(name, value)
		}
	}
	res, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.server.watchStall(res)
	unzip(res)
	return res, nil
}

// redactor returns a replacer that hides the secrets. It ignores secrets of fewer than 6 bytes, which
// could occur in any text.
func redactor(secrets []string) *strings.Replacer {
	var pairs []string
	for _, secret := range secrets {
		if len(secret) >= 6 {
			pairs = append(pairs, secret, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}
