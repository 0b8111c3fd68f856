package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7"
)

const (
	// maxErrorBody is the maximum size of an error in a body, in bytes.
	maxErrorBody = 64 << 10
	// maxKeepAlive is the maximum number of bytes of white space before a body. S3 sends white space while it
	// completes an upload, because it has sent the status already.
	maxKeepAlive = 1 << 20
)

// errorBodies is a transport that gives a response with a success status and an error in its body the status of
// the error. S3 sends such responses for requests that take long: it sends the status first. Servers that are
// compatible with S3, and proxies, send them for other requests, too. minio-go would take most of them for
// success: an error in place of a list is an empty list.
type errorBodies struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t errorBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil || resp.StatusCode < 200 || resp.StatusCode > 299 || r.Method == http.MethodHead || isObject(resp) {
		return resp, err
	}
	start, isError := readStart(bufio.NewReader(resp.Body))
	body := &startedBody{Reader: start, Closer: resp.Body}
	resp.Body = body
	if !isError {
		return resp, nil
	}
	text, err := io.ReadAll(io.LimitReader(body, maxKeepAlive+maxErrorBody))
	if err != nil {
		_ = body.Close()
		return nil, fmt.Errorf("read the error in a response with status %d: %w", resp.StatusCode, err)
	}
	text = bytes.TrimLeftFunc(text, unicode.IsSpace) // an XML declaration must be at the beginning
	resp.Body = &startedBody{Reader: bytes.NewReader(text), Closer: body}
	resp.StatusCode = statusOf(text)
	resp.Status = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	resp.ContentLength = int64(len(text))
	return resp, nil
}

// isObject reports whether a response has the content of an object, which may itself be an XML document with an
// error. S3 sends the time of the last change with each object, and an error has none.
func isObject(resp *http.Response) bool { return resp.Header.Get("Last-Modified") != "" }

// startedBody is a body whose beginning was read already.
type startedBody struct {
	io.Reader
	io.Closer
}

// readStart reports whether a text is an XML document whose root is an element named Error. It reads only as much
// as it needs to know that, and returns a reader of the whole text.
func readStart(r *bufio.Reader) (whole io.Reader, isError bool) {
	start := make([]byte, 0, 64)
	next := func() byte {
		if len(start) == maxKeepAlive {
			return 0
		}
		c, err := r.ReadByte()
		if err != nil {
			return 0 // the reader of the body sees the error
		}
		start = append(start, c)
		return c
	}
	c := next()
	for {
		// White space, and a byte order mark.
		for c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xEF || c == 0xBB || c == 0xBF {
			c = next()
		}
		if c != '<' {
			break
		}
		if c = next(); c != '?' {
			name := []byte{c}
			for len(name) < len("Error") && strings.HasPrefix("Error", string(name)) {
				name = append(name, next())
			}
			isError = string(name) == "Error" && strings.IndexByte("> \t\r\n/", next()) >= 0
			break
		}
		for last := c; c != 0 && (last != '?' || c != '>'); { // an XML declaration
			last, c = c, next()
		}
		c = next()
	}
	return io.MultiReader(bytes.NewReader(start), r), isError
}

// statusOf returns the HTTP status of an error, by its code. It is 500 for a code that is not known, because S3
// uses a success status only before it knows the outcome.
func statusOf(text []byte) int {
	var e struct {
		Code string `xml:"Code"`
	}
	if err := xml.Unmarshal(text, &e); err != nil && !errors.Is(err, io.EOF) {
		return http.StatusInternalServerError
	}
	switch e.Code {
	case minio.AccessDenied, minio.InvalidAccessKeyID, minio.SignatureDoesNotMatch, "RequestTimeTooSkewed":
		return http.StatusForbidden
	case minio.NoSuchBucket, minio.NoSuchKey, minio.NoSuchUpload:
		return http.StatusNotFound
	case "ExpiredToken", "InvalidToken", "AuthorizationHeaderMalformed", minio.EntityTooLarge, "InvalidPart",
		"InvalidPartOrder", "MalformedXML", "InvalidRequest", "InvalidArgument", "BadDigest":
		return http.StatusBadRequest
	case "SlowDown", "ServiceUnavailable":
		return http.StatusServiceUnavailable
	case "NotImplemented":
		return http.StatusNotImplemented
	}
	if strings.Contains(e.Code, "StorageFull") {
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}
