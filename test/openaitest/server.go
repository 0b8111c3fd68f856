// Package openaitest is a server that speaks OpenAI's Chat Completions API as
// it is published, for tests and benchmarks: requests are checked and refused
// as OpenAI does, streams have its chunks, and a test scripts what goes wrong.
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

// Options shape a Server; the zero value answers every request with one sentence.
type Options struct {
	// Key is the API key that requests must carry; empty takes any, and none.
	Key string
	// Models are those served; nil is gpt-4o, gpt-4o-mini, o3-mini and text-embedding-3-small.
	Models []string
	// ContextTokens, unless 0, refuses prompts that are longer, counted as four bytes a token.
	ContextTokens int
	// Tokens, unless 0, makes the answers of a benchmark: so many tokens, Delay
	// before each, with nothing recorded and the prompt not checked.
	Tokens int
	Delay  time.Duration
	// Answer, if set, makes the replies when none is enqueued.
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

// New makes a server that is not listening yet.
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

// Start listens on address, 127.0.0.1:0 for a free port, and gives the base URL
// with its /v1. Close ends it.
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

// Close cuts every connection and ends the server. Call it once.
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
	// http has closed the listener only if Serve had begun.
	_ = s.listener.Close()
	return err
}

// Enqueue adds replies, each for one completion that is asked for and allowed.
func (s *Server) Enqueue(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, replies...)
}

// Requests are the completions that were asked for, refused ones too, oldest first.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Active counts the requests that are being answered now.
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
			Message: "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth " +
				"(i.e. Authorization: Bearer YOUR_KEY).",
			Type: "invalid_request_error",
		}
	case key != s.opts.Key:
		return &Error{
			Message: "Incorrect API key provided: " + mask(key) + ". You can find your API key at https://platform.openai.com/account/api-keys.",
			Type:    "invalid_request_error", Code: "invalid_api_key",
		}
	}
	return nil
}

// mask shows a key's ends, as OpenAI does.
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

// next takes the reply to req: enqueued, made by Answer, or the usual sentence.
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
