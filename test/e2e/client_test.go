package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// client sends requests to a server as one user.
type client struct {
	t   *testing.T
	url string
	// token is empty for requests without authentication.
	token string
	// username is set for users of signInAs.
	username string
}

// reply is a complete response.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// tokens is the response to a sign-in.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// failure is the error of a response.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details struct {
		Field  string `json:"field"`
		Issue  string `json:"issue"`
		Object string `json:"object"`
		ID     string `json:"id"`
		RunID  string `json:"run_id"`
		Reason string `json:"reason"`
	} `json:"details"`
	RequestID string `json:"request_id"`
}

// signIn returns a client of the admin. On a shared server all tests use the same token.
func (s *server) signIn() *client {
	s.t.Helper()
	if s.shared != nil {
		return &client{t: s.t, url: s.url, token: s.shared.admin}
	}
	return s.signInAs("admin", adminPassword)
}

// signInAs returns a client of a user.
func (s *server) signInAs(username, password string) *client {
	s.t.Helper()
	c := &client{t: s.t, url: s.url, username: username}
	var headers []string
	if s.shared != nil {
		headers = append(headers, "X-Forwarded-For: "+nextAddress())
	}
	r := c.do("POST", "/v1/auth/login", object{"username": username, "password": password}, headers...)
	c.token = decode[tokens](s.t, r.want(s.t, 200)).AccessToken
	return c
}

// anonymous returns a client that is not signed in.
func (s *server) anonymous() *client { return &client{t: s.t, url: s.url} }

// object is a JSON object to send.
type object map[string]any

// request returns a request. A body that is a string is sent as it is, any other as JSON.
func (c *client) request(ctx context.Context, method, path string, body any) *http.Request {
	c.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req
}

// try sends a request with headers, each "Name: value".
func (c *client) try(method, path string, body any, headers ...string) (*reply, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	req := c.request(ctx, method, path, body)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &reply{resp.StatusCode, resp.Header, data}, nil
}

// do is try, and ends the test if there is no reply.
func (c *client) do(method, path string, body any, headers ...string) *reply {
	c.t.Helper()
	r, err := c.try(method, path, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *client) get(path string) *reply            { c.t.Helper(); return c.do("GET", path, nil) }
func (c *client) post(path string, body any) *reply { c.t.Helper(); return c.do("POST", path, body) }

// want ends the test unless the reply has that status.
func (r *reply) want(t *testing.T, status int) *reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("got status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// decode returns the body of a reply as a T.
func decode[T any](t *testing.T, r *reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("decode the reply: %v: %s", err, r.body)
	}
	return v
}

// failure returns the error in a reply.
func (r *reply) failure(t *testing.T) failure {
	t.Helper()
	return decode[struct{ Error failure }](t, r).Error
}

// chunked posts text followed by size letters, without a Content-Length, and returns the status.
func (c *client) chunked(path, text string, size int) int {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	req := c.request(ctx, "POST", path, text)
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader(text), strings.NewReader(strings.Repeat("a", size))))
	req.ContentLength = -1
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
