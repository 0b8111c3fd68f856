package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Client sends requests to one MCP server, with the headers of its config.
type Client struct {
	server    server
	settings  Settings
	http      *http.Client
	transport *http.Transport
}

const maxRedirects = 5

func newClient(w *Web, s server) *Client {
	c := &Client{server: s, settings: w.settings, transport: w.transport()}
	c.http = &http.Client{Transport: c.transport, CheckRedirect: c.checkRedirect}
	return c
}

// Host returns the host of the server, for error messages.
func (c *Client) Host() string { return c.server.url.Host }

// URL returns the URL of the server. It may contain secrets.
func (c *Client) URL() *url.URL { return c.server.url }

// AnswerTimeout returns the AnswerTimeout of the settings.
func (c *Client) AnswerTimeout() time.Duration { return c.settings.AnswerTimeout }

// SameOrigin reports whether the headers of the config may be sent to u.
func (c *Client) SameOrigin(u *url.URL) bool {
	s := c.server.url
	return u.User == nil && u.Scheme == s.Scheme && u.Hostname() == s.Hostname() && portOf(u) == portOf(s)
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is a request for Do.
type Request struct {
	Method string
	// URL is the URL of the request. Nil means the URL of the server.
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Timeout is the time until the headers of the response. 0 means no limit.
	Timeout time.Duration
}

var errNoAnswer = errors.New("no response in time")

// Do sends a request. The caller must close the body of the response. Reading it fails when ctx is done.
// An error is an *sdk.Error without secrets.
func (c *Client) Do(ctx context.Context, r Request) (*http.Response, error) {
	u := r.URL
	if u == nil {
		u = c.server.url
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		cancel(nil)
		return nil, c.failure(ctx, err)
	}
	req.Header.Set("User-Agent", "agentarea")
	for _, h := range []http.Header{c.server.headers, r.Header} {
		for name, values := range h {
			req.Header[name] = values
		}
	}
	if r.Timeout > 0 {
		timer := time.AfterFunc(r.Timeout, func() { cancel(errNoAnswer) })
		defer timer.Stop()
	}
	resp, err := c.http.Do(req)
	if err != nil {
		err = c.failure(ctx, err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, cancel: cancel}
	return resp, nil
}

// body releases the context of its request when it is closed.
type body struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *body) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// checkRedirect rejects redirects that would send headers or messages to another server, or change a POST
// to a GET.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return redirected("too often")
	case !c.SameOrigin(req.URL):
		return redirected(fmt.Sprintf("to %s://%s, which is another server: if this is intended, write its URL in the config",
			req.URL.Scheme, req.URL.Host))
	case req.Method != via[0].Method:
		return redirected("to a web page: write the URL of the MCP server itself in the config")
	}
	return nil
}

func redirected(reason string) error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: "redirects " + reason}
}

// Reach checks whether a connection to the server can be opened. An error is an *sdk.Error.
func (c *Client) Reach(ctx context.Context) error {
	if c.transport.Proxy != nil {
		return nil // only the proxy can check this
	}
	u := c.server.url
	conn, err := c.transport.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), portOf(u)))
	if err != nil {
		return c.failure(ctx, err)
	}
	return conn.Close()
}
