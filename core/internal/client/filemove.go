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
)

// Progress is how far a move is.
type Progress struct {
	Files      int   `json:"files"`
	Bytes      int64 `json:"bytes"`
	TotalFiles int   `json:"total_files"`
	TotalBytes int64 `json:"total_bytes"`
	// Failed counts the files that stay where they are.
	Failed int `json:"failed"`
}

// Watcher is told what happens in a move.
type Watcher interface {
	Progress(p Progress)
	// Failed tells of a file that stays where it is.
	Failed(fileID, message string)
	// Waiting tells that the move goes on in a while, and why not now.
	Waiting(err error)
}

// moveEvent is one of a move's stream.
type moveEvent struct {
	Type string `json:"type"`
	Progress
	FileID string `json:"file_id"`
	Error  Error  `json:"error"`
}

// MoveFiles has the server move all files of a backend to another, and gives
// what came of it. What cuts the connection, or has a part of the server down for
// a while, is waited for, and the move goes on where it was.
func (c *Client) MoveFiles(ctx context.Context, from, to string, w Watcher) (Progress, error) {
	m := &move{client: c, from: from, to: to, watcher: w}
	pause := c.retry
	for last := time.Now(); ; {
		told := m.told
		err := m.follow(ctx)
		if err == nil {
			return m.progress, nil
		}
		if m.told > told {
			last, pause = time.Now(), c.retry
		}
		if ctx.Err() != nil || !m.goesOn(err) || time.Since(last) > c.patience {
			return m.progress, err
		}
		w.Waiting(err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return m.progress, err
		}
		pause = min(2*pause, c.longest)
	}
}

// move is one that may take several requests.
type move struct {
	client   *Client
	from, to string
	watcher  Watcher
	// first is the first that was told, and told counts all.
	first, progress Progress
	told            int
}

// goesOn says that another request may do better.
func (m *move) goesOn(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return m.told > 0 // a server that was never there is not waited for
	}
	// The server may not know yet that the request before has ended.
	return e.passing() || m.told > 0 && e.Code == "CONFLICT"
}

var errCut = errors.New("the connection was cut")

// follow makes one request, and is nil when the move has ended.
func (m *move) follow(ctx context.Context) error {
	token, err := m.client.token(ctx)
	if err != nil {
		return err
	}
	reply, err := m.client.post(ctx, "/v1/files/move", token, map[string]string{"from": m.from, "to": m.to})
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
			return fmt.Errorf("the server's events can't be read: %w", err)
		}
		if ended, err := m.take(&e); ended || err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return errCut
}

func (m *move) take(e *moveEvent) (ended bool, err error) {
	switch e.Type {
	case "error":
		return false, &e.Error
	case "failed":
		m.watcher.Failed(e.FileID, e.Error.Error())
	case "progress", "end":
		if m.told == 0 {
			m.first = e.Progress
		}
		m.told++
		m.progress = m.whole(e.Progress)
		m.watcher.Progress(m.progress)
	}
	return e.Type == "end", nil
}

// whole counts what earlier requests have moved too: a later one is told only of
// what is left.
func (m *move) whole(p Progress) Progress {
	files, size := max(m.first.TotalFiles-p.TotalFiles, 0), max(m.first.TotalBytes-p.TotalBytes, 0)
	p.Files += files
	p.TotalFiles += files
	p.Bytes += size
	p.TotalBytes += size
	return p
}
