package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// socketAction is what the audit calls all that is asked for on a WebSocket.
const socketAction = "websocket"

// socketTimes are how long things may take on a WebSocket.
type socketTimes struct {
	// auth is for the first message; write for a client to read what is sent.
	auth, write time.Duration
	// check is how often the tokens and logins are looked at, ping how often a
	// silent client is asked whether it is there, and pong for its answer.
	check, ping, pong time.Duration
}

var defaultSocketTimes = socketTimes{
	auth: 5 * time.Second, write: 10 * time.Second, check: 2 * time.Second, ping: 30 * time.Second, pong: 10 * time.Second,
}

const (
	// maxFrame bounds what a client says, maxChannels what it listens to at once.
	maxFrame    = 64 << 10
	maxChannels = 100
	// maxSockets bounds a user's connections.
	maxSockets = 100
	// maxMistakes is how many bad frames in a row end a connection.
	maxMistakes = 10
)

// sockets are the connections that are open. One goroutine looks after all.
type sockets struct {
	api   *api
	times socketTimes

	mu     sync.Mutex
	open   map[*socket]struct{}
	ofUser map[string]int
	closed bool
	// tending says that the goroutine runs.
	tending bool
}

func (a *api) registerWebSocket() {
	a.sockets = &sockets{api: a, times: defaultSocketTimes, open: map[*socket]struct{}{}, ofUser: map[string]int{}}
	for _, path := range []string{"/v1/ws", "/v1/ws/"} {
		a.router.Get(path, a.sockets.serve)
	}
	errors := map[string]*huma.Response{}
	operation{access: anyone, errors: []core.Code{core.CodeForbidden, core.CodeValidation}}.describeErrors(a, errors)
	errors["101"] = &huma.Response{Description: "The connection is a WebSocket from here on"}
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: socketAction, Method: http.MethodGet, Path: "/v1/ws", Tags: []string{"WebSocket"}, Summary: "Watch by WebSocket",
		Description: "The first message is {\"type\":\"auth\",\"token\":\"…\"}, within 5 s; then {\"type\":\"subscribe\",\"channel\":\"…\",\"after\":17} " +
			"for the channels agent.{id}.events, task.{id}.events, tasks and system. docs/websocket.md tells the rest.",
		Responses: errors,
	})
}

func (s *sockets) serve(w http.ResponseWriter, r *http.Request) {
	requestOf(r.Context()).action = socketAction
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		writeError(w, r, core.Invalid("Upgrade", "Connect by WebSocket: the header must be websocket"))
		return
	}
	if !s.fromHere(r) {
		writeError(w, r, core.Forbidden("A page of another site may not connect: its Origin is neither the server's host nor its public URL"))
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OriginPatterns: []string{s.publicHost()}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(maxFrame)
	defer s.api.observer.Stream("websocket")()
	newSocket(context.WithoutCancel(r.Context()), s, conn, requestOf(r.Context())).serve() //nolint:contextcheck // tend is all connections', not this one's
}

// fromHere keeps other sites' pages from using a browser's connection. Clients
// that are no browsers send no Origin.
func (s *sockets) fromHere(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || strings.EqualFold(u.Host, s.publicHost()))
}

func (s *sockets) publicHost() string {
	u, err := url.Parse(s.api.publicURL)
	if err != nil || u.Host == "" {
		return "localhost"
	}
	return u.Host
}

// admit counts a connection that has a user by now.
func (s *sockets) admit(one *socket, userID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return core.Unavailable("The server is stopping: try again in a few seconds")
	case s.ofUser[userID] >= maxSockets:
		return &core.Error{Code: core.CodeRateLimited, Message: "Too many connections: at most " + strconv.Itoa(maxSockets) + " a user"}
	}
	s.ofUser[userID]++
	s.open[one] = struct{}{}
	if !s.tending {
		s.tending = true
		go s.tend()
	}
	return nil
}

func (s *sockets) leave(one *socket, userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[one]; !ok {
		return
	}
	delete(s.open, one)
	if s.ofUser[userID]--; s.ofUser[userID] == 0 {
		delete(s.ofUser, userID)
	}
}

func (s *sockets) all() []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*socket, 0, len(s.open))
	for one := range s.open {
		all = append(all, one)
	}
	return all
}

// idle says that there is nobody to look after any more.
func (s *sockets) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tending = len(s.open) > 0
	return !s.tending
}

// tend looks after the connections while there are any.
func (s *sockets) tend() {
	for {
		time.Sleep(s.times.check)
		if s.idle() {
			return
		}
		alive := map[string]error{}
		for _, one := range s.all() {
			one.tend(alive)
		}
	}
}

// stop ends all connections, for the server is stopping.
func (s *sockets) stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, one := range s.all() {
		wg.Go(func() { one.end(websocket.StatusGoingAway, "the server is stopping") })
	}
	wg.Wait()
}

// frame is what a client says.
type clientFrame struct {
	Type    string `json:"type"`
	Token   string `json:"token"`
	Channel string `json:"channel"`
	After   *int64 `json:"after"`
}

func parseFrame(kind websocket.MessageType, data []byte) (*clientFrame, error) {
	if kind != websocket.MessageText {
		return nil, core.Invalid("type", "Must be a JSON object in a text frame, not binary")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	f := new(clientFrame)
	// The decoder stops behind the object, whatever follows.
	if err := d.Decode(f); err != nil || !json.Valid(data) {
		return nil, core.Invalid("type", `Must be a JSON object like {"type":"subscribe","channel":"tasks"}, with no other fields than type, token, channel and after`)
	}
	if f.After != nil && *f.After < 0 {
		return nil, core.Invalid("after", "Must be a seq that a message had, or 0")
	}
	return f, nil
}
