package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	socketUsers = 100
	// socketsOfUser is the server's limit of WebSockets for a user.
	socketsOfUser = 100
	subscribers   = 1000
)

// websockets measures idle connections, and the delivery of one event to many connections.
func websockets(ctx context.Context, s *settings) error {
	r, err := newTaskRig(ctx, s)
	if err != nil {
		return err
	}
	defer r.close()
	tokens, err := r.users(ctx, s.scaled(socketUsers))
	if err != nil {
		return err
	}
	sleep(ctx, 2*time.Second)
	before, err := memoryOf(r.server.pid())
	if err != nil {
		return err
	}
	var conns []*websocket.Conn
	defer func() {
		for _, c := range conns {
			_ = c.CloseNow()
		}
	}()
	for _, token := range tokens {
		for range socketsOfUser {
			c, err := r.signIn(ctx, token)
			if err != nil {
				return fmt.Errorf("connection %d: %w", len(conns), err)
			}
			conns = append(conns, c)
		}
	}
	sleep(ctx, 2*time.Second)
	after, err := memoryOf(r.server.pid())
	if err != nil {
		return err
	}
	health, err := r.health(ctx, s.scaled(2000))
	if err != nil {
		return err
	}
	spread, reply, err := r.spread(ctx, conns[:min(subscribers, len(conns))], s.scaled(50))
	if err != nil {
		return err
	}
	t := newTable("WebSockets; aim: under 40 KB for an idle one, /health p99 under 50 ms meanwhile",
		"idle connections", "RSS of the server for each", "/health p50", "p99",
		"a turn's answer", fmt.Sprintf("and with all of %d subscribers, p50", min(subscribers, len(conns))), "p99")
	t.row(fmt.Sprint(len(conns)), fmt.Sprintf("%.1f KiB", float64(after[0].rss-before[0].rss)/float64(len(conns))),
		ms(percentile(health, 0.5)), ms(percentile(health, 0.99)),
		ms(percentile(reply, 0.5)), ms(percentile(spread, 0.5)), ms(percentile(spread, 0.99)))
	t.print()
	return nil
}

// users creates users and signs them in.
func (r *taskRig) users(ctx context.Context, n int) (tokens []string, err error) {
	for i := range n {
		name := fmt.Sprint("user-", i)
		body := map[string]any{"username": name, "email": name + "@bench.example", "password": password, "role": "admin"}
		if err := r.server.call(ctx, http.MethodPost, "/v1/users", body, nil); err != nil {
			return nil, err
		}
		var reply struct {
			AccessToken string `json:"access_token"`
		}
		body = map[string]any{"username": name, "password": password}
		err := r.server.call(ctx, http.MethodPost, "/v1/auth/login", body, &reply)
		if wait := (limited{}); errors.As(err, &wait) { // sign-ins have a limit that no setting lifts
			sleep(ctx, wait.wait)
			err = r.server.call(ctx, http.MethodPost, "/v1/auth/login", body, &reply)
		}
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, reply.AccessToken)
	}
	return tokens, nil
}

func (r *taskRig) signIn(ctx context.Context, token string) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+r.server.addr+"/v1/ws", nil)
	if err != nil {
		return nil, err
	}
	if err := conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"auth","token":%q}`, token)); err != nil {
		return nil, err
	}
	_, _, err = conn.Read(ctx)
	return conn, err
}

// health measures sequential calls of /health.
func (r *taskRig) health(ctx context.Context, n int) (took []time.Duration, err error) {
	for range n {
		began := time.Now()
		if err := r.server.call(ctx, http.MethodGet, "/health", nil, nil); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// spread has turns with an agent that admins watch, and waits until the last admin has received the
// answer. took and reply, which is the time of the turn itself, start with the request.
func (r *taskRig) spread(
	ctx context.Context, conns []*websocket.Conn, rounds int,
) (took, reply []time.Duration, err error) {
	subscribe := fmt.Appendf(nil, `{"type":"subscribe","channel":"agent.%s.events"}`, r.server.agent)
	for _, c := range conns {
		if err := c.Write(ctx, websocket.MessageText, subscribe); err != nil {
			return nil, nil, err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return nil, nil, err
		}
	}
	for range rounds {
		errs := make([]error, len(conns))
		var wg sync.WaitGroup
		for i, c := range conns {
			wg.Go(func() { _, _, errs[i] = c.Read(ctx) })
		}
		began := time.Now()
		if err := r.server.call(ctx, http.MethodPost, "/v1/agents/"+r.server.agent+"/chat",
			map[string]string{"message": "Hello"}, nil); err != nil {
			return nil, nil, err
		}
		reply = append(reply, time.Since(began))
		wg.Wait()
		took = append(took, time.Since(began))
		if err := errors.Join(errs...); err != nil {
			return nil, nil, err
		}
	}
	return took, reply, nil
}
