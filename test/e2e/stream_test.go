package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// event is one of a stream.
type event struct {
	ID        int64     `json:"-"`
	Type      string    `json:"type"`
	Content   tokenText `json:"content"`
	SessionID string    `json:"session_id"`
	RunID     string    `json:"run_id"`
	MessageID string    `json:"message_id"`
	Attempt   int       `json:"attempt"`
	DropAfter int64     `json:"drop_after"`
	Metadata  struct {
		Status string `json:"status"`
	} `json:"metadata"`
	Error failure `json:"error"`

	data string
}

// said is a token's text. A tool's result has content of another kind.
type tokenText string

func (s *tokenText) UnmarshalJSON(data []byte) error {
	if data[0] != '"' {
		return nil
	}
	return json.Unmarshal(data, (*string)(s))
}

// stream is a run that is watched.
type stream struct {
	t      *testing.T
	header http.Header
	body   io.ReadCloser
	lines  *bufio.Reader
	leave  context.CancelFunc
	// seen are the events so far.
	seen []event
	// err is how the stream ended: nil after its last event, io.ErrUnexpectedEOF
	// or the like when it was cut.
	err error
}

// say begins a turn that is streamed.
func (c *client) startTurn(agent, session, text string) *stream {
	c.t.Helper()
	s, r, err := c.tryStream("POST", "/v1/agents/"+agent+"/chat", object{"message": text, "session_id": session, "stream": true})
	if err != nil || r != nil {
		c.t.Fatalf("no stream: %v %+v", err, r)
	}
	return s
}

// watch gives a run's events above the number after.
func (c *client) runEvents(run string, after int64) *stream {
	c.t.Helper()
	s, r, err := c.tryStream("GET", "/v1/runs/"+run+"/events", nil, "Last-Event-ID: "+strconv.FormatInt(after, 10))
	if err != nil || r != nil {
		c.t.Fatalf("no stream: %v %+v", err, r)
	}
	return s
}

// tryStream gives a stream, or the reply that came instead, or why there is none.
func (c *client) tryStream(method, path string, body any, headers ...string) (*stream, *reply, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	req := c.request(ctx, method, path, body)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // close does, at the test's end at the latest
	if err != nil {
		cancel()
		return nil, nil, err
	}
	s := &stream{t: c.t, header: resp.Header, body: resp.Body, lines: bufio.NewReader(resp.Body), leave: cancel}
	c.t.Cleanup(s.close)
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		return s, nil, nil
	}
	defer s.close()
	data, err := io.ReadAll(resp.Body)
	return nil, &reply{resp.StatusCode, resp.Header, data}, err
}

func (s *stream) close() {
	s.leave()
	_ = s.body.Close()
}

// next reads one event; false when there is none any more.
func (s *stream) next() (event, bool) {
	s.t.Helper()
	var e event
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) || line != "" || e.data != "" {
				s.err = io.ErrUnexpectedEOF
			}
			return event{}, false
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && e.data != "":
			s.seen = append(s.seen, e)
			return e, true
		case line == "", name == "": // a comment, or what follows it
		case name == "id":
			e.ID, err = strconv.ParseInt(value, 10, 64)
		case name == "data":
			e.data = value
			err = json.Unmarshal([]byte(value), &e)
		default:
			err = errors.New("not in the contract")
		}
		if err != nil {
			s.t.Errorf("%v: line %q of a stream", err, line)
			return event{}, false
		}
	}
}

// tokens reads until n more tokens have come.
func (s *stream) readTokens(n int) {
	s.t.Helper()
	for n > 0 {
		e, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended (%v) with %d tokens missing after %+v", s.err, n, s.last())
		}
		if e.Type == "token" {
			n--
		}
	}
}

// rest reads to the end, and gives the last event.
func (s *stream) readAll() event {
	s.t.Helper()
	for {
		if _, ok := s.next(); !ok {
			return s.last()
		}
	}
}

func (s *stream) last() event {
	if len(s.seen) == 0 {
		return event{}
	}
	return s.seen[len(s.seen)-1]
}

// start is the first event, which names the run.
func (s *stream) first() event {
	s.t.Helper()
	if len(s.seen) == 0 || s.seen[0].Type != "start" {
		s.t.Fatalf("the stream does not begin with a start, but with %+v", s.seen)
	}
	return s.seen[0]
}

// text is the message as a client shows it: a restart drops the tokens that
// came after its drop_after.
func messageText(events []event) string {
	var kept []event
	for _, e := range events {
		switch e.Type {
		case "token":
			kept = append(kept, e)
		case "restart":
			for len(kept) > 0 && kept[len(kept)-1].ID > e.DropAfter {
				kept = kept[:len(kept)-1]
			}
		}
	}
	var b strings.Builder
	for _, e := range kept {
		b.WriteString(string(e.Content))
	}
	return b.String()
}
