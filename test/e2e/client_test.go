package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client speaks to a server on behalf of one user.
type client struct {
	t   *testing.T
	url string
	// token is empty until somebody has signed in.
	token string
}

// reply is what the server answered, whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// tokens is the reply to a sign-in.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// failure is the contract's error.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details struct {
		Field  string `json:"field"`
		Issue  string `json:"issue"`
		Reason string `json:"reason"`
	} `json:"details"`
	RequestID string `json:"request_id"`
}

// signIn gives a client of the admin.
func (s *server) signIn() *client { return s.signInAs("admin", adminPassword) }

func (s *server) signInAs(username, password string) *client {
	s.t.Helper()
	c := &client{t: s.t, url: s.url}
	r := c.post("/v1/auth/login", object{"username": username, "password": password})
	c.token = decode[tokens](s.t, r.want(s.t, 200)).AccessToken
	return c
}

// object is a JSON object to send.
type object map[string]any

// limit bounds what any request may take.
const limit = time.Minute

// request makes one; a string as body is sent as it is, all else as JSON.
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

// try sends a request with headers, each "Name: value", and gives the reply or
// why there is none.
func (c *client) try(method, path string, body any, headers ...string) (*reply, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
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

// want ends the test unless the reply has the status.
func (r *reply) want(t *testing.T, status int) *reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func decode[T any](t *testing.T, r *reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return v
}

// failure is the error that was answered.
func (r *reply) failure(t *testing.T) failure {
	t.Helper()
	return decode[struct{ Error failure }](t, r).Error
}

// chunked posts text and then letters, without saying how much, and gives the status.
func (c *client) chunked(path, text string, size int) int {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
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
