package api

import (
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// minCompressed is the size in bytes from which a JSON reply is compressed. A smaller one fits into one packet.
	minCompressed = 1400
	// gzipSuffix ends the ETag of a compressed reply.
	gzipSuffix = "-gzip"
)

// replyWriter records the status of a reply, and limits the time for the client to read each part of it. It holds back
// the header of a JSON reply until the first write, which has the whole body, because EncodeJSON writes once. Then it
// adds the ETag, answers 304 if the client has the same reply already, and compresses the body if the client accepts
// that.
type replyWriter struct {
	http.ResponseWriter
	request *http.Request
	// status is the status of the reply, or 0.
	status int
	// held reports whether the header is held back, and sent whether it was sent.
	held, sent bool
	// conditional makes a reply with status 200 have an ETag of its content.
	conditional bool
	// discard reports whether the body is left out.
	discard bool
	// gzip compresses the rest of the body, or is nil.
	gzip *gzip.Writer
	// extended is the time at which the write deadline was set.
	extended time.Time
	// own reports whether the handler sets the write deadlines itself.
	own atomic.Bool
	// basePath is the path of the public URL, or empty.
	basePath string
}

func newReplyWriter(w http.ResponseWriter, r *http.Request, basePath string) *replyWriter {
	return &replyWriter{ResponseWriter: w, request: r, basePath: basePath}
}

// SetWriteDeadline is for http.ResponseController. The caller sets all later deadlines, too.
func (w *replyWriter) SetWriteDeadline(t time.Time) error {
	w.own.Store(true)
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t)
}

// extendDeadline sets the write deadline to writeTimeout from now, at most once per second, unless the handler
// does so. A write that a client does not read fails then. The writers of tests have no deadlines.
func (w *replyWriter) extendDeadline() {
	if now := time.Now(); now.Sub(w.extended) >= time.Second && !w.own.Load() {
		w.extended = now
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(now.Add(writeTimeout))
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *replyWriter) WriteHeader(status int) {
	if status >= 200 && w.sent {
		return
	}
	if w.status == 0 || w.status < 200 {
		w.status = status
	}
	if status >= 200 && w.isJSON() {
		w.held = true
		return
	}
	w.send(status)
}

// send sends the header.
func (w *replyWriter) send(status int) {
	w.held, w.sent = false, w.sent || status >= 200
	w.extendDeadline()
	if status == http.StatusCreated {
		addBasePath(w.basePath, w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// isJSON reports whether the reply is a JSON document that this server has encoded.
func (w *replyWriter) isJSON() bool {
	h := w.Header()
	media := h.Get("Content-Type")
	return (media == "application/json" || strings.HasPrefix(media, "application/json;")) &&
		h.Get("Content-Length") == "" && h.Get("Content-Encoding") == "" && h.Get("Content-Disposition") == ""
}

// Write implements http.ResponseWriter.
func (w *replyWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.held {
		w.begin(b)
	}
	switch {
	case w.discard:
		return len(b), nil
	case w.gzip != nil:
		w.extendDeadline()
		return w.gzip.Write(b)
	default:
		w.extendDeadline()
		return w.ResponseWriter.Write(b)
	}
}

// begin sends the header of a JSON reply with the body b.
func (w *replyWriter) begin(b []byte) {
	h := w.Header()
	if w.conditional && w.status == http.StatusOK {
		tag := contentTag(h.Get("ETag"), b)
		h.Set("ETag", tag)
		if noneMatch(w.request.Header.Get("If-None-Match"), tag) {
			h.Del("Content-Type")
			h.Add("Vary", "Accept-Encoding")
			w.status, w.discard = http.StatusNotModified, true
			w.send(w.status)
			return
		}
	}
	h.Add("Vary", "Accept-Encoding")
	if len(b) < minCompressed || !acceptsGzip(w.request.Header) {
		w.send(w.status)
		return
	}
	h.Set("Content-Encoding", "gzip")
	if tag := h.Get("ETag"); tag != "" {
		h.Set("ETag", strings.TrimSuffix(tag, `"`)+gzipSuffix+`"`)
	}
	w.send(w.status)
	w.gzip, _ = gzipWriters.Get().(*gzip.Writer)
	w.gzip.Reset(w.ResponseWriter)
}

// gzipWriters are the unused writers. A new one takes several hundred kilobytes.
var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is valid
	}
	return w
}}

// FlushError is for http.ResponseController.
func (w *replyWriter) FlushError() error {
	if w.held {
		w.send(w.status)
	}
	if w.gzip != nil {
		if err := w.gzip.Flush(); err != nil {
			return err
		}
	}
	switch f := w.ResponseWriter.(type) {
	case interface{ FlushError() error }:
		return f.FlushError()
	case http.Flusher:
		f.Flush()
		return nil
	default:
		return http.NewResponseController(f).Flush()
	}
}

// Unwrap is for http.ResponseController.
func (w *replyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// begun reports whether a part of the reply may have been sent.
func (w *replyWriter) begun() bool { return w.status != 0 && !w.held }

// reset forgets a reply that has not begun.
func (w *replyWriter) reset() { w.status, w.held = 0, false }

// end sends what is left of the reply.
func (w *replyWriter) end() {
	if w.held {
		w.send(w.status)
	}
	if w.gzip != nil {
		_ = w.gzip.Close() // the client may have disconnected
		gzipWriters.Put(w.gzip)
		w.gzip = nil
	}
}

// contentTag returns the ETag of a reply: that of its version, or none, with a hash of its body.
func contentTag(version string, body []byte) string {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:8])
	if version == "" {
		return `"` + hash + `"`
	}
	return strings.TrimSuffix(version, `"`) + "-" + hash + `"`
}

// versionOfTag returns the ETag of the version in an ETag that contentTag has returned, also in that of a compressed
// reply.
func versionOfTag(tag string) string {
	version, _, found := strings.Cut(tag, "-")
	if !found || !strings.HasSuffix(tag, `"`) {
		return tag
	}
	return version + `"`
}

// noneMatch reports whether a header If-None-Match has the tag, so that the client has the reply already.
func noneMatch(header, tag string) bool {
	if header == "" {
		return false
	}
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		candidate = strings.Replace(candidate, gzipSuffix+`"`, `"`, 1)
		if candidate == "*" || candidate == tag {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether the client accepts a gzip-encoded reply.
func acceptsGzip(h http.Header) bool {
	accepted := false
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			coding, parameters, err := mime.ParseMediaType(item)
			if err != nil || coding != "gzip" && coding != "x-gzip" && coding != "*" {
				continue
			}
			q, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
			if coding != "*" {
				return err == nil && q > 0
			}
			accepted = err == nil && q > 0
		}
	}
	return accepted
}
