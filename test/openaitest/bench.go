package openaitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// frameKey has everything on which the bytes of a benchmark's answer depend.
type frameKey struct {
	model  string
	stream bool
	usage  bool
}

// frameCache caches rendered answers. It has no limit, because there are few models.
type frameCache struct {
	mu     sync.Mutex
	frames map[frameKey][][]byte
}

// bench answers with Options.Tokens tokens. It writes bytes that were rendered once, because its CPU
// time is missing to the programs under test.
func (s *Server) bench(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model         string `json:"model"`
		Stream        bool   `json:"stream"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	// The body is read completely, because the connection may be hijacked.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := json.Unmarshal(body, &req); err != nil {
		writeError(w, http.StatusBadRequest, invalid("", "", "We could not parse the JSON body of your request. (%v)", err))
		return
	}
	frames := s.rendered(frameKey{model: req.Model, stream: req.Stream, usage: req.StreamOptions.IncludeUsage})
	if !req.Stream {
		if s.wait(r, time.Duration(s.opts.Tokens)*s.opts.Delay) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(frames[0])
		}
		return
	}
	if raw, ok := w.(*rawWriter); ok {
		raw.broken = !s.play(raw.conn, frames)
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil || !s.keep(conn) {
		panic(http.ErrAbortHandler)
	}
	go func() {
		defer s.drop(conn)
		raw := &rawWriter{conn: conn}
		raw.broken = !s.play(conn, frames)
		for !raw.broken {
			s.serveRaw(raw, buf.Reader)
		}
	}()
}

// rendered returns the writes of an answer. An answer that is not streamed is one write. A streamed one
// is a chunk for each token, the first with the assistant's role, and a chunk for everything after them.
func (s *Server) rendered(key frameKey) [][]byte {
	s.frames.mu.Lock()
	defer s.frames.mu.Unlock()
	if frames, ok := s.frames.frames[key]; ok {
		return frames
	}
	frames := s.render(key)
	if s.frames.frames == nil || len(s.frames.frames) > 100 {
		s.frames.frames = map[frameKey][][]byte{}
	}
	s.frames.frames[key] = frames
	return frames
}

func (s *Server) render(key frameKey) [][]byte {
	n := s.opts.Tokens
	usage := &Usage{PromptTokens: 12, CompletionTokens: int64(n), TotalTokens: int64(12 + n)}
	rec := &recorder{header: http.Header{}}
	if !key.stream {
		var text strings.Builder
		for i := range n {
			text.WriteString(token(i))
		}
		reply := &Reply{Content: text.String(), FinishReason: "stop", Usage: usage}
		s.respond(rec, nil, &Request{Model: key.model}, reply, "chatcmpl-bench")
		return [][]byte{rec.body}
	}
	c := chunker{
		w: rec, rc: http.NewResponseController(rec), id: "chatcmpl-bench",
		model: key.model, created: time.Now().Unix(), usage: key.usage,
	}
	c.delta(object{"role": "assistant", "content": "", "refusal": nil}, nil)
	var frames [][]byte
	for i := range n {
		c.delta(object{"content": token(i)}, nil)
		frames = append(frames, framed(rec.take()))
	}
	c.delta(object{}, "stop")
	if key.usage {
		c.json(c.chunk([]any{}, usage))
	}
	c.data("[DONE]")
	return append(frames, append(framed(rec.take()), "0\r\n\r\n"...))
}

// framed returns b as a chunk of a chunked body.
func framed(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b) }

// token returns the i-th token of a benchmark's answer.
func token(i int) string { return " t" + strconv.Itoa(i) }
