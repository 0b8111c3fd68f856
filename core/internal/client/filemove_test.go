package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// watcher records the events of a move.
type watcher struct {
	progress []Progress
	failed   []string
	waits    int
	// signIns is the number of sign-ins to the server of moveWith.
	signIns int
}

func (w *watcher) Progress(p Progress)           { w.progress = append(w.progress, p) }
func (w *watcher) Failed(fileID, message string) { w.failed = append(w.failed, fileID+": "+message) }
func (w *watcher) Waiting(error)                 { w.waits++ }

// reply is the response to one request for a move.
type reply struct {
	status int
	body   string
}

func event(kind string, files, bytes, totalFiles, totalBytes, failed int) string {
	return fmt.Sprintf("data: {\"type\":%q,\"files\":%d,\"bytes\":%d,\"total_files\":%d,\"total_bytes\":%d,\"failed\":%d}\n\n",
		kind, files, bytes, totalFiles, totalBytes, failed)
}

func failure(code, message string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":%q,"details":{"request_id":"req-1"}}}`, code, message)
}

// moveWith moves files on a server that sends the replies, one for each request.
func moveWith(t *testing.T, replies ...reply) (*watcher, Progress, error) {
	t.Helper()
	watcher := &watcher{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/login", func(w http.ResponseWriter, r *http.Request) {
		watcher.signIns++
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"password":"hunter2","username":"ada"}` {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, failure("UNAUTHORIZED", "Wrong username or password"))
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"t0","token_type":"bearer"}`)
	})
	mux.HandleFunc("POST /v1/files/move", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"from":"local","to":"s3"}` || r.Header.Get("Authorization") != "Bearer t0" {
			t.Errorf("request with Authorization %q and body %s", r.Header.Get("Authorization"), body)
		}
		if len(replies) == 0 {
			t.Error("got more requests than replies")
			return
		}
		w.WriteHeader(replies[0].status)
		_, _ = io.WriteString(w, replies[0].body)
		replies = replies[1:]
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := New(Options{URL: server.URL + "/", Username: "ada", Password: "hunter2"})
	c.minBackoff, c.giveUpAfter = time.Millisecond, time.Minute
	p, err := c.MoveFiles(t.Context(), "local", "s3", watcher)
	if len(replies) > 0 {
		t.Errorf("%d replies were not requested", len(replies))
	}
	return watcher, p, err
}

func TestMoveFiles_resumes(t *testing.T) {
	t.Parallel()
	w, p, err := moveWith(t,
		reply{200, event("progress", 0, 0, 3, 30, 0) + event("progress", 1, 10, 3, 30, 0)}, // and the connection closes
		reply{409, failure("CONFLICT", "Files are being moved already")},
		reply{503, failure("SERVICE_UNAVAILABLE", "The server is starting")},
		reply{200, ": still here\n\n" + event("progress", 0, 0, 2, 20, 0) + event("progress", 1, 10, 2, 20, 0) +
			"data: {\"type\":\"error\",\"error\":{\"code\":\"SERVICE_UNAVAILABLE\",\"message\":\"The file backend is down\"}}\n\n"},
		reply{200, event("progress", 0, 0, 1, 10, 0) + event("end", 1, 10, 1, 10, 0)},
	)
	if err != nil || p != (Progress{Files: 3, Bytes: 30, TotalFiles: 3, TotalBytes: 30}) {
		t.Errorf("MoveFiles = %+v, %v, want all 3 files moved", p, err)
	}
	last := 0
	for _, p := range w.progress {
		if p.Files < last || p.TotalFiles != 3 || p.TotalBytes != 30 {
			t.Errorf("progress = %+v, want growing counts of 3 files", p)
		}
		last = p.Files
	}
	if w.waits != 4 || w.signIns != 1 {
		t.Errorf("got %d retries with %d sign-ins, want 4 with 1", w.waits, w.signIns)
	}
}

func TestMoveFiles_signsInAgain(t *testing.T) {
	t.Parallel()
	w, p, err := moveWith(t,
		reply{200, event("progress", 1, 10, 2, 20, 0)}, // and the connection closes
		reply{401, failure("UNAUTHORIZED", "The token has expired")},
		reply{200, event("end", 1, 10, 1, 10, 0)},
	)
	if err != nil || p.Files != 2 || w.waits != 1 || w.signIns != 2 {
		t.Errorf("MoveFiles = %+v, %v after %d retries and %d sign-ins, want 2 files after 1 retry and 2 sign-ins",
			p, err, w.waits, w.signIns)
	}
}

// A backend that fails before the first file has been moved ends the move with its reason.
func TestMoveFiles_backendDown(t *testing.T) {
	t.Parallel()
	w, p, err := moveWith(t, reply{200, event("progress", 0, 0, 3, 30, 0) +
		"data: {\"type\":\"error\",\"error\":{\"code\":\"SERVICE_UNAVAILABLE\",\"message\":\"S3 has no bucket\"}}\n\n"})
	if err == nil || err.Error() != "S3 has no bucket" || p.Files != 0 || w.waits != 0 {
		t.Errorf("MoveFiles = %+v, %v after %d retries, want the backend's reason at once", p, err, w.waits)
	}
}

func TestMoveFiles_failedFile(t *testing.T) {
	t.Parallel()
	w, p, err := moveWith(t, reply{200, event("progress", 0, 0, 2, 20, 0) +
		"data: {\"type\":\"failed\",\"file_id\":\"file-1\",\"error\":{\"code\":\"UPSTREAM_ERROR\",\"message\":\"its checksum is another\"}}\n\n" +
		event("end", 1, 10, 2, 20, 1)})
	if err != nil || p.Failed != 1 || strings.Join(w.failed, "\n") != "file-1: its checksum is another" {
		t.Errorf("MoveFiles = %+v, %v, failed %q, want file-1 failed", p, err, w.failed)
	}
}

func TestMoveFiles_permanentErrors(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]reply{
		"to: There is no enabled files plugin \"s3\"": {
			400, `{"error":{"code":"VALIDATION_ERROR","message":"Invalid request parameters",
			"details":{"field":"to","issue":"There is no enabled files plugin \"s3\""}}}`,
		},
		"Files are being moved already":           {409, failure("CONFLICT", "Files are being moved already")},
		"Only an admin may do this":               {403, failure("FORBIDDEN", "Only an admin may do this")},
		"the server responded with 404 Not Found": {404, "<html>"},
		"the server sent an invalid event":        {200, "data: {\n\n"},
	} {
		w, _, err := moveWith(t, r)
		if err == nil || !strings.HasPrefix(err.Error(), want) || w.waits > 0 {
			t.Errorf("error %v after %d retries, want %s", err, w.waits, want)
		}
	}
}

func TestMoveFiles_givesUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, failure("SERVICE_UNAVAILABLE", "The database is down"))
	}))
	t.Cleanup(server.Close)
	c := New(Options{URL: server.URL, Token: "t0"})
	c.minBackoff, c.giveUpAfter = 10*time.Millisecond, time.Second // longer than a response takes on a busy machine
	w := &watcher{}
	if _, err := c.MoveFiles(t.Context(), "local", "s3", w); err == nil || err.Error() != "The database is down" ||
		w.waits == 0 {
		t.Errorf("got error %v after %d retries, want the last error after some", err, w.waits)
	}
}

func TestMoveFiles_contextCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, event("progress", 0, 0, 1, 1, 0))
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	if _, err := New(Options{URL: server.URL, Token: "t0"}).MoveFiles(ctx, "local", "s3", &watcher{}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestMoveFiles_noServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	w := &watcher{}
	_, err := New(Options{URL: server.URL, Token: "t0"}).MoveFiles(t.Context(), "local", "s3", w)
	if err == nil || !strings.Contains(err.Error(), "connection refused") || w.waits > 0 {
		t.Errorf("got error %v after %d retries, want connection refused without retries", err, w.waits)
	}
}
