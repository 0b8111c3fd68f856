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

// Client sends requests to one server, with the headers of its config.
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

// Host is the server's, for messages to people.
func (c *Client) Host() string { return c.server.url.Host }

// URL is the server's, which may hold secrets.
func (c *Client) URL() *url.URL { return c.server.url }

// AnswerTimeout is the settings'.
func (c *Client) AnswerTimeout() time.Duration { return c.settings.AnswerTimeout }

// SameOrigin says whether the server's headers may be sent to u.
func (c *Client) SameOrigin(u *url.URL) bool {
	s := c.server.url
	return u.User == nil && u.Scheme == s.Scheme && u.Hostname() == s.Hostname() && portOf(u) == portOf(s)
}

// Close lets go of connections that nobody uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is what Do sends.
type Request struct {
	Method string
	// URL is nil for the server's own.
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Timeout is how long the answer's headers may take; 0 for any time.
	Timeout time.Duration
}

var errNoAnswer = errors.New("no answer in time")

// Do sends a request. The answer's body is to be closed, and ends with ctx. An
// error is an *sdk.Error, which says what went wrong, and nothing secret.
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

// body lets go of its request's context.
type body struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *body) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// checkRedirect keeps headers and messages with the server, and a POST a POST.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return redirected("too often")
	case !c.SameOrigin(req.URL):
		return redirected(fmt.Sprintf("to %s://%s, where nothing is sent: if that is right, write its URL in the config",
			req.URL.Scheme, req.URL.Host))
	case req.Method != via[0].Method:
		return redirected("as one does with web pages: write the URL of the MCP server itself in the config")
	}
	return nil
}

func redirected(how string) error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: "redirects " + how}
}

// Reach tries whether anybody listens at the server's address. It fails with an
// *sdk.Error.
func (c *Client) Reach(ctx context.Context) error {
	if c.transport.Proxy != nil {
		return nil // that is the proxy's to find out
	}
	u := c.server.url
	conn, err := c.transport.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), portOf(u)))
	if err != nil {
		return c.failure(ctx, err)
	}
	return conn.Close()
}
