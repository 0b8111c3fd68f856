// Package client speaks to a running server over its API, for the commands that
// an admin types beside it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Options say which server, and as whom. Without a Token, Username and Password
// are signed in with.
type Options struct {
	// URL is the server's, as http://localhost:8000.
	URL                string
	Token              string
	Username, Password string
}

// Client speaks to one server.
type Client struct {
	options Options
	http    *http.Client
	// retry is the first pause after a failure; it doubles up to longest. After
	// patience without any progress it is over.
	retry, longest, patience time.Duration
}

// New makes a Client.
func New(o Options) *Client {
	o.URL = strings.TrimRight(o.URL, "/")
	return &Client{options: o, http: &http.Client{}, retry: 500 * time.Millisecond, longest: 10 * time.Second, patience: 2 * time.Minute}
}

// Error is what the server says is wrong.
type Error struct {
	// Status is the HTTP status; 0 in a stream that had begun.
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Details struct {
		Field string `json:"field"`
		Issue string `json:"issue"`
	} `json:"details"`
}

func (e *Error) Error() string {
	if e.Details.Issue != "" {
		return fmt.Sprintf("%s: %s", e.Details.Field, e.Details.Issue)
	}
	return e.Message
}

// passing says that a later try may do better.
func (e *Error) passing() bool {
	switch e.Code {
	case "SERVICE_UNAVAILABLE", "RATE_LIMITED":
		return true
	}
	return e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout
}

// token gives the one to send, which is fresh unless it was given.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.options.Token != "" {
		return c.options.Token, nil
	}
	reply, err := c.post(ctx, "/v1/auth/login", "", map[string]string{"username": c.options.Username, "password": c.options.Password})
	if err != nil {
		return "", err
	}
	defer func() { _ = reply.Body.Close() }()
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(&tokens); err != nil || tokens.AccessToken == "" {
		return "", fmt.Errorf("%s does not answer as AgentArea does: is it the server's URL?", c.options.URL)
	}
	return tokens.AccessToken, nil
}

// maxReply bounds what is read of a reply that is no stream.
const maxReply = 1 << 20

// post gives a reply of success, whose body the caller closes, or fails with an
// *Error.
func (c *Client) post(ctx context.Context, path, token string, body any) (*http.Response, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.options.URL+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
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
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(&failure); err != nil || failure.Error.Message == "" {
		failure.Error.Message = "the server answered " + reply.Status
	}
	failure.Error.Status = reply.StatusCode
	return nil, &failure.Error
}
