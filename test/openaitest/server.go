// Package openaitest is a server with OpenAI's Chat Completions API as published, for tests and
// benchmarks. It validates requests as OpenAI does, streams the same chunks, and fails on request.
package openaitest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Server. With the zero value it answers every request with one sentence.
type Options struct {
	// Key is the API key that requests must have. If it is empty, no key is needed.
	Key string
	// Models are the known models. They default to gpt-4o, gpt-4o-mini, o3-mini and text-embedding-3-small.
	Models []string
	// ContextTokens, unless 0, is the maximum length of a prompt in tokens. Four bytes count as one token.
	ContextTokens int
	// Tokens, unless 0, is the length of each answer in a benchmark, with Delay before each token. The
	// server then records no requests and does not validate prompts.
	Tokens int
	Delay  time.Duration
	// Answer, if set, returns the reply to a request when no reply is enqueued.
	Answer func(*Request) Reply
}

// Server is an http.Handler with OpenAI's paths below /v1.
type Server struct {
	opts   Options
	mux    *http.ServeMux
	active atomic.Int64
	serial atomic.Int64
	frames frameCache
	closed chan struct{}

	mu       sync.Mutex
	queue    []Reply
	requests []*Request
	http     *http.Server
	listener net.Listener
	conns    map[net.Conn]struct{}
}

// New returns a server that does not listen yet.
func New(opts Options) *Server {
	if opts.Models == nil {
		opts.Models = []string{"gpt-4o", "gpt-4o-mini", "o3-mini", "text-embedding-3-small"}
	}
	s := &Server{opts: opts, mux: http.NewServeMux(), closed: make(chan struct{})}
	s.mux.HandleFunc("POST /v1/chat/completions", s.chat)
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, &Error{
			Message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path), Type: "invalid_request_error",
		})
	})
	return s
}

// Start listens on address, such as 127.0.0.1:0 for a free port, and returns the base URL with its
// /v1. Close ends the server.
func (s *Server) Start(address string) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.mu.Lock()
	s.http, s.listener = srv, ln
	s.mu.Unlock()
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			panic("openaitest: " + err.Error())
		}
	}()
	return "http://" + ln.Addr().String() + "/v1", nil
}

// Close closes every connection and ends the server. Call it once.
func (s *Server) Close() error {
	close(s.closed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	if s.http == nil {
		return nil
	}
	err := s.http.Close()
	// http.Server closes the listener only if Serve has been called.
	_ = s.listener.Close()
	return err
}

// Enqueue adds replies. Each is the answer to one valid request.
func (s *Server) Enqueue(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, replies...)
}

// Requests returns all requests for completions, also the rejected ones, oldest first.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Active returns the number of requests that are being answered.
func (s *Server) Active() int { return int(s.active.Load()) }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.active.Add(1)
	defer s.active.Add(-1)
	h := w.Header()
	h.Set("X-Request-Id", fmt.Sprintf("req_%024d", s.serial.Add(1)))
	h.Set("Openai-Version", "2020-10-01")
	if e := s.authorize(r); e != nil {
		writeError(w, http.StatusUnauthorized, e)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) authorize(r *http.Request) *Error {
	if s.opts.Key == "" {
		return nil
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok || key == "":
		return &Error{
			Message: "You didn't provide an API key. You need to provide your API key in an Authorization header using " +
				"Bearer auth " +
				"(i.e. Authorization: Bearer YOUR_KEY).",
			Type: "invalid_request_error",
		}
	case key != s.opts.Key:
		return &Error{
			Message: "Incorrect API key provided: " + mask(key) +
				". You can find your API key at https://platform.openai.com/account/api-keys.",
			Type: "invalid_request_error", Code: "invalid_api_key",
		}
	}
	return nil
}

// mask returns a key of which only the ends are readable, as OpenAI does in errors.
func mask(key string) string {
	if len(key) < 12 {
		return strings.Repeat("*", len(key))
	}
	return key[:4] + strings.Repeat("*", len(key)-8) + key[len(key)-4:]
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list"}
	for _, id := range s.opts.Models {
		list.Data = append(list.Data, model{ID: id, Object: "model", Created: 1715367049, OwnedBy: "system"})
	}
	writeJSON(w, http.StatusOK, list)
}

// next returns the reply to req: an enqueued one, the one of Answer, or the default sentence.
func (s *Server) next(req *Request) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.queue) > 0:
		reply := s.queue[0]
		s.queue = s.queue[1:]
		return reply
	case s.opts.Answer != nil:
		return s.opts.Answer(req)
	default:
		return Text("Hello! How can I help you today?")
	}
}
