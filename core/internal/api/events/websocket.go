// Package events serves notifications over WebSockets.
package events

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// action is the action of WebSocket requests and messages in the audit log, and the operationId.
const action = "websocket"

// Timeouts are the time limits of a WebSocket.
type Timeouts struct {
	// Auth is the maximum time until the first message, and Write that for a client to read a message.
	Auth, Write time.Duration
	// Check is the interval at which credentials are checked. Ping is the time without messages
	// after which a client is pinged, and Pong the maximum time for its answer.
	Check, Ping, Pong time.Duration
}

// DefaultTimeouts are the timeouts that Register uses if none are given.
var DefaultTimeouts = Timeouts{
	Auth: 5 * time.Second, Write: 10 * time.Second, Check: 2 * time.Second, Ping: 30 * time.Second, Pong: 10 * time.Second,
}

const (
	// maxFrame is the maximum size of a client's message in bytes.
	maxFrame = 64 << 10
	// maxChannels is the maximum number of subscriptions of a connection.
	maxChannels = 100
	// maxConnections is the maximum number of connections of a user.
	maxConnections = 100
	// A connection can send frames messages at once and frameRate messages per second, and all connections of
	// a user userFrames and userFrameRate.
	frames, frameRate         = 200, 20
	userFrames, userFrameRate = 1000, 100
	// maxInvalid is the number of frames in a row that are not JSON objects, and the number of refused sign-ins, that
	// closes a connection.
	maxInvalid = 10
	// maxReplays is the number of subscriptions of a user that read earlier notifications at the same time.
	maxReplays = 2
)

// Hub delivers notifications.
type Hub interface {
	// Last returns the number of the newest notification that was delivered.
	Last() int64
	// Newest returns the highest number of a notification that any server has stored, including deleted ones.
	Newest(ctx context.Context) (int64, error)
	// Subscribe sends the notifications of a channel after a number with send, and puts later ones into
	// q, until stop is called.
	Subscribe(ctx context.Context, channel string, f core.NotificationFilter, after int64, q core.NotificationQueue,
		send func(messages [][]byte) error) (stop func(), err error)
}

// Agents reads agents.
type Agents interface {
	// Agent fails with NotFound if the actor may not see the agent.
	Agent(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
}

// Tasks reads tasks.
type Tasks interface {
	// Task fails with NotFound if the actor may not see the task.
	Task(ctx context.Context, v core.Actor, id string) (*core.Task, error)
}

// Options are the dependencies of the group.
type Options struct {
	Hub    Hub
	Agents Agents
	Tasks  Tasks
	// PublicURL is the URL at which browsers reach the server, or empty if unknown. Its origin may
	// connect.
	PublicURL string
	// Draining closes all connections when it is closed. Nil means never.
	Draining <-chan struct{}
	// Timeouts are DefaultTimeouts if zero.
	Timeouts Timeouts
}

// server keeps the open connections. One goroutine checks all of them.
type server struct {
	Options
	api *api.API
	// replays are the subscriptions that read earlier notifications.
	replays *core.UserSlots

	mu     sync.Mutex
	open   map[*connection]struct{}
	ofUser map[string]*userConnections
	closed bool
	// checking reports whether the goroutine runs.
	checking bool
}

// userConnections are the connections of a user.
type userConnections struct {
	open   int
	frames *rate.Limiter
}

func (u *userConnections) count() int {
	if u == nil {
		return 0
	}
	return u.open
}

// Register adds the WebSocket.
func Register(a *api.API, o Options) {
	register(a, o)
}

func register(a *api.API, o Options) *server {
	if o.Timeouts == (Timeouts{}) {
		o.Timeouts = DefaultTimeouts
	}
	s := &server{
		Options: o, api: a, replays: core.NewUserSlots(maxReplays, maxConnections),
		open: map[*connection]struct{}{}, ofUser: map[string]*userConnections{},
	}
	for _, path := range []string{"/v1/ws", "/v1/ws/"} {
		a.HandleGet(path, http.HandlerFunc(s.serve))
	}
	responses := map[string]*huma.Response{}
	a.DescribeErrors(api.Operation{Access: api.Anyone, Errors: []core.Code{core.CodeForbidden, core.CodeValidation}},
		responses)
	responses["101"] = &huma.Response{Description: "The connection is now a WebSocket"}
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: action, Method: http.MethodGet, Path: "/v1/ws",
		Tags: []string{"WebSocket"}, Summary: "Watch over a WebSocket",
		Description: "The first message must be {\"type\":\"auth\",\"token\":\"…\"}, within 5 seconds. Then subscribe with " +
			"{\"type\":\"subscribe\",\"channel\":\"…\",\"after\":17} to the channels agent.{id}.events, task.{id}.events, " +
			"tasks and system. See docs/websocket.md.",
		Responses: responses,
	})
	if o.Draining != nil {
		go func() {
			<-o.Draining
			s.close()
		}()
	}
	return s
}

// serve upgrades a request and serves its connection.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	req := api.RequestFrom(r.Context())
	req.SetAction(action, "")
	if err := api.CheckQuery(r, nil); err != nil {
		api.WriteError(w, r, err)
		return
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		api.WriteError(w, r,
			core.Invalid("Upgrade", "This endpoint accepts only WebSocket connections: set the Upgrade header to websocket"))
		return
	}
	if !s.allowedOrigin(r) {
		api.WriteError(w, r,
			core.Forbidden("Pages of other sites may not connect: the Origin is neither the server's host nor its public URL"))
		return
	}
	var c *connection // set before the first read
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OriginPatterns: []string{s.publicHost()}, CompressionMode: websocket.CompressionDisabled,
		OnPingReceived: func(context.Context, []byte) bool { return c.onPing() },
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(maxFrame)
	defer s.api.ObserveStream("websocket")()
	c = newConnection(context.WithoutCancel(r.Context()), s, conn, req)
	c.serve() //nolint:contextcheck // checkAll serves all connections
}

// allowedOrigin reports whether a browser may connect from the page that it shows. Clients that are not
// browsers send no Origin.
func (s *server) allowedOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || strings.EqualFold(u.Host, s.publicHost()))
}

func (s *server) publicHost() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Host == "" {
		return "localhost"
	}
	return u.Host
}

// add counts an authenticated connection. It fails with Unavailable while the server stops, or with
// RateLimited if the user has too many.
func (s *server) add(c *connection, userID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return core.Unavailable("The server is stopping. Try again in a few seconds.")
	case s.ofUser[userID].count() >= maxConnections:
		return &core.Error{
			Code: core.CodeRateLimited, Message: "Too many connections: a user can have at most " + strconv.Itoa(maxConnections),
		}
	}
	if s.ofUser[userID] == nil {
		s.ofUser[userID] = &userConnections{frames: rate.NewLimiter(userFrameRate, userFrames)}
	}
	s.ofUser[userID].open++
	c.userFrames = s.ofUser[userID].frames
	s.open[c] = struct{}{}
	if !s.checking {
		s.checking = true
		go s.checkAll()
	}
	return nil
}

// remove undoes add.
func (s *server) remove(c *connection, userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[c]; !ok {
		return
	}
	delete(s.open, c)
	// The entry stays until its frame budget is full again, so that connecting again does not refill it.
	if u := s.ofUser[userID]; u != nil {
		u.open--
	}
	for id, u := range s.ofUser {
		if u.open == 0 && u.frames.Tokens() >= userFrames {
			delete(s.ofUser, id)
		}
	}
}

// connections returns the open connections.
func (s *server) connections() []*connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*connection, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	return all
}

// stopChecking reports whether no connection is open, and if so lets the next one start checkAll again.
func (s *server) stopChecking() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checking = len(s.open) > 0
	return !s.checking
}

// checkAll checks the connections at each interval, until none is open.
func (s *server) checkAll() {
	for {
		time.Sleep(s.Timeouts.Check)
		if s.stopChecking() {
			return
		}
		checked := map[string]error{}
		for _, c := range s.connections() {
			c.check(checked)
		}
	}
}

// close closes all connections and rejects new ones.
func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var closing sync.WaitGroup
	for _, c := range s.connections() {
		closing.Go(func() { c.close(websocket.StatusGoingAway, "the server is stopping") })
	}
	closing.Wait()
}
