package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Progress is the progress of a move.
type Progress struct {
	Files      int   `json:"files"`
	Bytes      int64 `json:"bytes"`
	TotalFiles int   `json:"total_files"`
	TotalBytes int64 `json:"total_bytes"`
	// Failed is the number of files that could not be moved.
	Failed int `json:"failed"`
}

// Watcher receives the events of a move.
type Watcher interface {
	// Progress is called when files have been moved.
	Progress(p Progress)
	// Failed is called for a file that could not be moved.
	Failed(fileID, message string)
	// Waiting is called before a retry, with the error of the last request.
	Waiting(err error)
}

// moveEvent is an event in the stream of a move.
type moveEvent struct {
	Type string `json:"type"`
	Progress
	FileID string `json:"file_id"`
	Error  Error  `json:"error"`
}

// MoveFiles lets the server move all files of one backend to another, and returns the result. After a
// connection error or a temporary error of the server, it waits and resumes the move. It does not wait for a backend
// that fails before the first file has been moved.
func (c *Client) MoveFiles(ctx context.Context, from, to string, w Watcher) (Progress, error) {
	m := &move{client: c, from: from, to: to, watcher: w}
	pauses := backoff.ExponentialBackOff{InitialInterval: c.minBackoff, MaxInterval: c.maxBackoff, Multiplier: 2}
	for last := time.Now(); ; {
		received := m.received
		err := m.follow(ctx)
		if err == nil {
			return m.progress, nil
		}
		if m.received > received {
			last = time.Now()
			pauses.Reset()
		}
		if ctx.Err() != nil || !m.canRetry(err) || time.Since(last) > c.giveUpAfter {
			return m.progress, err
		}
		w.Waiting(err)
		select {
		case <-time.After(pauses.NextBackOff()):
		case <-ctx.Done():
			return m.progress, err
		}
	}
}

// move is a move, which may need several requests.
type move struct {
	client   *Client
	from, to string
	watcher  Watcher
	// first is the first progress event, received the number of all of them.
	first, progress Progress
	received        int
}

// canRetry reports whether another request may succeed.
func (m *move) canRetry(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return m.received > 0 // do not wait for a server that was never reachable
	}
	// A backend that has not stored any file yet is probably configured wrongly, so the user must see its error.
	if e.Status == 0 && m.progress.Files == 0 {
		return false
	}
	// After a connection error the server may still be busy with the previous request.
	return e.temporary() || m.received > 0 && e.Code == "CONFLICT"
}

var errInterrupted = errors.New("the connection was closed before the move ended")

// follow sends one request and reads its events. It returns nil when the move has ended.
func (m *move) follow(ctx context.Context) error {
	reply, err := m.client.postSignedIn(ctx, "/v1/files/move", map[string]string{"from": m.from, "to": m.to})
	if err != nil {
		return err
	}
	defer func() { _ = reply.Body.Close() }()
	lines := bufio.NewScanner(reply.Body)
	lines.Buffer(nil, maxReply)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var e moveEvent
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("the server sent an invalid event: %w", err)
		}
		if ended, err := m.handle(&e); ended || err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return errInterrupted
}

// handle handles an event.
func (m *move) handle(e *moveEvent) (ended bool, err error) {
	switch e.Type {
	case "error":
		return false, &e.Error
	case "failed":
		m.watcher.Failed(e.FileID, e.Error.Error())
	case "progress", "end":
		if m.received == 0 {
			m.first = e.Progress
		}
		m.received++
		m.progress = m.total(e.Progress)
		m.watcher.Progress(m.progress)
	}
	return e.Type == "end", nil
}

// total adds the files that earlier requests have moved, because a request counts only the files that were left at its
// start.
func (m *move) total(p Progress) Progress {
	files, size := max(m.first.TotalFiles-p.TotalFiles, 0), max(m.first.TotalBytes-p.TotalBytes, 0)
	p.Files += files
	p.TotalFiles += files
	p.Bytes += size
	p.TotalBytes += size
	return p
}
