// Package remote is for providers of language models that are reached over HTTP:
// checks of their config, a client that keeps many streams, and errors in the
// SDK's words that show no secret.
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

// Settings are what a provider's config block says of its server.
type Settings struct {
	// BaseURL is where the API is; Example is shown when it is none.
	BaseURL, Example string
	// APIKey is needed when the server's host is Genuine, or below it; KeyName is
	// the variable that errors propose for it.
	APIKey, Genuine, KeyName string
	Headers                  map[string]string
	// Timeout is how long to wait for the first of an answer.
	Timeout time.Duration
}

// Server is where a provider's requests go.
type Server struct {
	// URL has no slash at its end; Host names the server in errors.
	URL, Host string
	// Genuine says that it is the provider's own, and not one that is compatible.
	Genuine bool
	Timeout time.Duration
	client  *http.Client
	redact  *strings.Replacer
}

// New makes a server of settings. The error has a ConfigError for each that is wrong.
func New(s Settings) (*Server, error) {
	u, err := baseURL(s.BaseURL, s.Example)
	if err != nil {
		return nil, err
	}
	var errs []error
	bad := func(summary, detail string, path ...string) {
		errs = append(errs, &sdk.ConfigError{Path: path, Summary: summary, Detail: detail})
	}
	genuine := s.Genuine != "" && (u.Hostname() == s.Genuine || strings.HasSuffix(u.Hostname(), "."+s.Genuine))
	if genuine && s.APIKey == "" {
		bad("missing, and "+u.Host+" wants one", "Set "+s.KeyName+` and write api_key = env("`+s.KeyName+
			`"), or disable the stanza with enabled = false, or name another server by base_url`, "api_key")
	}
	if !httpguts.ValidHeaderFieldValue(s.APIKey) {
		bad("holds a character that no key has", "Write the key alone, on one line", "api_key")
	}
	if s.Timeout <= 0 {
		bad("must be longer than 0", `Write a duration, such as "60s"`, "timeout")
	}
	secrets := []string{s.APIKey}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		value := s.Headers[name]
		secrets = append(secrets, value, strings.TrimPrefix(value, "Bearer "))
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			bad("not a valid HTTP header", "Write a name of letters, digits and hyphens, and a value on one line", "headers", name)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Server{
		URL: strings.TrimSuffix(u.String(), "/"), Host: u.Host, Genuine: genuine, Timeout: s.Timeout,
		client: &http.Client{Transport: withHeaders{transport(), s.Headers}}, redact: redactor(secrets),
	}, nil
}

// Client is for the requests: it has no time limit, and a connection for each of
// many streams.
func (s *Server) Client() *http.Client { return s.client }

// Redact blanks what is secret in the server's words.
func (s *Server) Redact(words string) string { return s.redact.Replace(words) }

func baseURL(raw, example string) (*url.URL, error) {
	bad := func(summary string) error {
		return &sdk.ConfigError{Path: []string{"base_url"}, Summary: summary, Detail: `Write where the API is, such as "` + example + `"`}
	}
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil:
		return nil, bad("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, bad("must begin with http:// or https://")
	case u.Host == "":
		return nil, bad("names no host")
	case u.User != nil:
		return nil, bad("must not hold a user or password; use api_key or headers")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, bad("must not hold a query or fragment")
	}
	return u, nil
}

// transport keeps more connections than the default's two, and notices by pings
// of HTTP/2 that a peer is gone.
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
		// A compressed stream arrives in lumps.
		DisableCompression: true,
	}
}

// withHeaders sends headers with every request, and what trace it is part of.
type withHeaders struct {
	next    http.RoundTripper
	headers map[string]string
}

func (w withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := sdk.TraceOf(r.Context())
	if len(w.headers) > 0 || trace.Parent != "" {
		r = r.Clone(r.Context())
		trace.SetHeaders(r.Header)
		for name, value := range w.headers {
			r.Header.Set(name, value)
		}
	}
	return w.next.RoundTrip(r)
}

// redactor blanks the secrets that an answer might repeat.
func redactor(secrets []string) *strings.Replacer {
	var pairs []string
	for _, secret := range secrets {
		if len(secret) >= 6 {
			pairs = append(pairs, secret, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}
