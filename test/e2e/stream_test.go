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

// event is an event of a stream.
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

// tokenText is the content of a token event. It stays empty for the result of a tool, whose content
// is not a string.
type tokenText string

func (s *tokenText) UnmarshalJSON(data []byte) error {
	if data[0] != '"' {
		return nil
	}
	return json.Unmarshal(data, (*string)(s))
}

// stream reads the events of a run, a move or a log. It checks that they have their schema in the OpenAPI document.
type stream struct {
	t      *testing.T
	schema string
	header http.Header
	body   io.ReadCloser
	lines  *bufio.Reader
	cancel context.CancelFunc
	// seen are the events that were read so far.
	seen []event
	// err is nil if the stream ended after its last event, and io.ErrUnexpectedEOF if it was
	// interrupted.
	err error
}

// startTurn starts a streamed turn.
func (c *client) startTurn(agent, session, text string) *stream {
	c.t.Helper()
	s, r, err := c.tryStream("POST", "/v1/agents/"+agent+"/chat",
		object{"message": text, "session_id": session, "stream": true})
	if err != nil || r != nil {
		c.t.Fatalf("got no stream: %v %+v", err, r)
	}
	return s
}

// runEvents returns a stream of a run's events with ids above after.
func (c *client) runEvents(run string, after int64) *stream {
	c.t.Helper()
	s, r, err := c.tryStream("GET", "/v1/runs/"+run+"/events", nil, "Last-Event-ID: "+strconv.FormatInt(after, 10))
	if err != nil || r != nil {
		c.t.Fatalf("got no stream: %v %+v", err, r)
	}
	return s
}

// tryStream sends a request and returns the stream, or the reply if it is not a stream.
func (c *client) tryStream(method, path string, body any, headers ...string) (*stream, *reply, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	req := c.request(ctx, method, path, body)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // closed by close, when the test ends at the latest
	if err != nil {
		cancel()
		return nil, nil, err
	}
	s := &stream{t: c.t, schema: streamSchema(path), header: resp.Header, body: resp.Body, lines: bufio.NewReader(resp.Body), cancel: cancel}
	c.t.Cleanup(s.close)
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		return s, nil, nil
	}
	defer s.close()
	data, err := io.ReadAll(resp.Body)
	return nil, &reply{resp.StatusCode, resp.Header, data}, err
}

func (s *stream) close() {
	s.cancel()
	_ = s.body.Close()
}

// next reads an event. It returns false at the end of the stream.
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
			if e.Type != "token" || s.last().Type != "token" { // the tokens after the first one are alike
				wantSchema(s.t, s.schema, e.data)
			}
			s.seen = append(s.seen, e)
			return e, true
		case line == "", name == "": // a comment, or the empty line after it
		case name == "id":
			e.ID, err = strconv.ParseInt(value, 10, 64)
		case name == "data":
			e.data = value
			err = json.Unmarshal([]byte(value), &e)
		default:
			err = errors.New("unknown field")
		}
		if err != nil {
			s.t.Errorf("read line %q of the stream: %v", line, err)
			return event{}, false
		}
	}
}

// readTokens reads until n more tokens have been read.
func (s *stream) readTokens(n int) {
	s.t.Helper()
	for n > 0 {
		e, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended (%v), want %d more tokens after %+v", s.err, n, s.last())
		}
		if e.Type == "token" {
			n--
		}
	}
}

// readAll reads to the end of the stream, and returns the last event.
func (s *stream) readAll() event {
	s.t.Helper()
	for {
		if _, ok := s.next(); !ok {
			return s.last()
		}
	}
}

// last returns the last event that was read.
func (s *stream) last() event {
	if len(s.seen) == 0 {
		return event{}
	}
	return s.seen[len(s.seen)-1]
}

// first returns the first event, which has the id of the run.
func (s *stream) first() event {
	s.t.Helper()
	if len(s.seen) == 0 || s.seen[0].Type != "start" {
		s.t.Fatalf("got events %+v, want start first", s.seen)
	}
	return s.seen[0]
}

// messageText returns the message as a client shows it. A restart event removes the tokens after its
// drop_after.
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
