package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// stream is an event stream. It is a session of the server.
type stream struct {
	response *http.Response
	events   *remote.Events
	// endpoint is the URL for messages to the server.
	endpoint *url.URL
	// ended is closed when the stream has ended.
	ended chan struct{}
	// cancel ends the request.
	cancel context.CancelFunc

	mu sync.Mutex
	// handshakeID is the id of the initialize request that renew has sent; nil if none is open.
	// answer receives the answer.
	handshakeID json.RawMessage
	answer      chan []byte
}

// openStream requests an event stream and waits for the endpoint event. It fails with an *sdk.Error.
func (c *conn) openStream() (*stream, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	s := &stream{cancel: cancel, ended: make(chan struct{}), answer: make(chan []byte, 1)}
	timer := time.AfterFunc(endpointTimeout, cancel)
	err := c.request(ctx, s)
	if !timer.Stop() {
		err = &sdk.Error{
			Code: sdk.CodeTimeout, Message: c.client.Host() + " did not send its endpoint event in time", Retryable: true,
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// request requests the event stream s and waits for the endpoint event.
func (c *conn) request(ctx context.Context, s *stream) (err error) {
	header := http.Header{}
	header.Set("Accept", "text/event-stream")
	s.response, err = c.client.Do(ctx, remote.Request{Method: http.MethodGet, Header: header}) //nolint:bodyclose // close does it
	if err != nil {
		return err
	}
	if err := c.client.StatusError(s.response); err != nil {
		return err
	}
	if remote.MediaType(s.response) != "text/event-stream" {
		return c.client.Unexpected(s.response)
	}
	s.events = remote.NewEvents(s.response.Body, mcptransport.MaxMessage)
	for {
		event, err := s.events.Next()
		if err != nil {
			return c.client.Broke("before it sent its endpoint event")
		}
		if event.Name == "endpoint" {
			return c.setEndpoint(s, string(event.Data))
		}
	}
}

// setEndpoint stores the URL for messages. It must have the origin of the URL in the
// config, so that messages and headers are not sent to another server.
func (c *conn) setEndpoint(s *stream, text string) error {
	u, err := s.response.Request.URL.Parse(text)
	if err != nil || text == "" {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.client.Host() + " sent an endpoint event with an invalid URL"}
	}
	if !c.client.SameOrigin(u) {
		return &sdk.Error{
			Code:    sdk.CodeUnavailable,
			Message: c.client.Host() + " sent an endpoint on another server, which is not allowed",
		}
	}
	s.endpoint = u
	return nil
}

// close ends the stream.
func (s *stream) close() {
	s.cancel()
	if s.response != nil {
		_ = s.response.Body.Close()
	}
}

// expectHandshake makes takeHandshake take the answer to the call with the id.
func (s *stream) expectHandshake(id json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handshakeID = id
}

// takeHandshake reports whether a message is the answer to the handshake, which it then keeps.
func (s *stream) takeHandshake(id json.RawMessage, message []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handshakeID == nil || string(s.handshakeID) != string(id) {
		return false
	}
	s.handshakeID = nil
	s.answer <- message
	return true
}
