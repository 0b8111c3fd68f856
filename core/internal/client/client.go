// Package client is a client of the API for commands that need a running server.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Options configure a Client. If Token is empty, the client signs in with Username and Password.
type Options struct {
	// URL is the URL of the server, such as http://localhost:8000.
	URL                string
	Token              string
	Username, Password string
}

// Client calls the API of one server. It is not safe for concurrent use.
type Client struct {
	options Options
	http    *http.Client
	// signedIn is the access token of the last sign-in. It is empty before the first one.
	signedIn string
	// minBackoff is the pause after the first failure. It doubles up to maxBackoff. After giveUpAfter
	// without progress, the client returns the error.
	minBackoff, maxBackoff, giveUpAfter time.Duration
}

// New returns a Client.
func New(o Options) *Client {
	o.URL = strings.TrimRight(o.URL, "/")
	return &Client{
		options: o, http: &http.Client{}, minBackoff: 500 * time.Millisecond,
		maxBackoff: 10 * time.Second, giveUpAfter: 2 * time.Minute,
	}
}

// Error is an error response of the server.
type Error struct {
	// Status is the HTTP status, or 0 for an error event of a stream.
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Details struct {
		Field string `json:"field"`
		Issue string `json:"issue"`
	} `json:"details"`
}

// Error returns the field and its issue, or the message.
func (e *Error) Error() string {
	if e.Details.Issue != "" && e.Details.Issue != e.Message {
		return fmt.Sprintf("%s: %s", e.Details.Field, e.Details.Issue)
	}
	return e.Message
}

// temporary reports whether a retry may succeed.
func (e *Error) temporary() bool {
	switch e.Code {
	case "SERVICE_UNAVAILABLE", "RATE_LIMITED":
		return true
	}
	return e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout
}

// postSignedIn is post with the configured token, or with that of a sign-in. It signs in once, and again only if the
// server no longer accepts the token, because sign-ins are limited.
func (c *Client) postSignedIn(ctx context.Context, path string, body any) (*http.Response, error) {
	if c.options.Token != "" {
		return c.post(ctx, path, c.options.Token, body)
	}
	if c.signedIn != "" {
		reply, err := c.post(ctx, path, c.signedIn, body)
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
			return reply, err
		}
	}
	var err error
	if c.signedIn, err = c.signIn(ctx); err != nil {
		return nil, err
	}
	return c.post(ctx, path, c.signedIn, body)
}

// signIn signs in and returns the access token.
func (c *Client) signIn(ctx context.Context) (string, error) {
	reply, err := c.post(ctx, "/v1/auth/login", "",
		map[string]string{"username": c.options.Username, "password": c.options.Password})
	if err != nil {
		return "", err
	}
	defer func() { _ = reply.Body.Close() }()
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(&tokens); err != nil ||
		tokens.AccessToken == "" {
		return "", fmt.Errorf("%s is not an AgentArea server: check the URL", c.options.URL)
	}
	return tokens.AccessToken, nil
}

// maxReply is the maximum size in bytes of a response that is not a stream.
const maxReply = 1 << 20

// post sends a request and returns a successful response, whose body the caller must close. A nil body sends none. For
// an error response it returns an *Error.
func (c *Client) post(ctx context.Context, path, token string, body any) (*http.Response, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.options.URL+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	reply, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if reply.StatusCode/100 == 2 {
		return reply, nil
	}
	defer func() { _ = reply.Body.Close() }()
	var failure struct{ Error Error }
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(&failure); err != nil ||
		failure.Error.Message == "" {
		failure.Error.Message = "the server responded with " + reply.Status
	}
	failure.Error.Status = reply.StatusCode
	return nil, &failure.Error
}
