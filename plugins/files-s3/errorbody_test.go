package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// scriptedS3 is an S3 server that stores nothing. It answers the first requests of one operation with an error
// in a response with status 200.
type scriptedS3 struct {
	// operation is that of the faulty requests, body their response, and faults their number.
	operation, body string
	faults          int

	mu       sync.Mutex
	requests map[string]int
}

// operationOf returns the name of the S3 operation of a request.
func operationOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost:
		return "CompleteMultipartUpload"
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "UploadPart"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return "DeleteObject"
	case r.Method == http.MethodHead:
		return "HeadObject"
	case q.Has("uploads"):
		return "ListMultipartUploads"
	case q.Has("list-type"):
		return "ListObjects"
	}
	return "GetObject"
}

func (s *scriptedS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	operation := operationOf(r)
	s.mu.Lock()
	s.requests[operation]++
	faulty := operation == s.operation && s.requests[operation] <= s.faults
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/xml")
	if faulty {
		_, _ = io.WriteString(w, s.body)
		return
	}
	w.Header().Set("ETag", `"abc"`)
	const xml = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	switch operation {
	case "CreateMultipartUpload":
		_, _ = io.WriteString(w, xml+`<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>`)
	case "CompleteMultipartUpload":
		_, _ = io.WriteString(w, " \n "+`<CompleteMultipartUploadResult><Bucket>files</Bucket><Key>k</Key><ETag>"abc"</ETag></CompleteMultipartUploadResult>`)
	case "ListObjects":
		_, _ = io.WriteString(w, xml+`<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`)
	case "ListMultipartUploads":
		_, _ = io.WriteString(w, xml+`<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case "HeadObject":
		w.WriteHeader(http.StatusNotFound)
	case "GetObject":
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		_, _ = io.WriteString(w, `<Error><Code>InternalError</Code></Error>`) // the content of the object
	case "DeleteObject", "AbortMultipartUpload":
		w.WriteHeader(http.StatusNoContent)
	}
}

// count returns the number of requests of an operation.
func (s *scriptedS3) count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[operation]
}

// newScripted returns a backend of a scripted server.
func newScripted(t *testing.T, s *scriptedS3) *backend {
	t.Helper()
	s.requests = map[string]int{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	b := open(t, map[string]any{"endpoint": server.URL, "bucket": "files", "access_key": "a", "secret_key": "s"})
	b.retryDelay = time.Millisecond
	return b
}

// scriptedCalls returns a call for each operation of S3.
func scriptedCalls(t *testing.T, b *backend) map[string]func() error {
	t.Helper()
	calls := allCalls(t, b)
	parts := func() error {
		_, err := b.Put(t.Context(), "k", bytes.NewReader(bytesOf(6*mib)), files.PutOptions{Size: -1})
		return err
	}
	return map[string]func() error{
		"PutObject": calls["Put"], "GetObject": calls["Get"], "ListObjects": calls["List"], "DeleteObject": calls["Delete"],
		"ListMultipartUploads": calls["Delete"], "CreateMultipartUpload": parts, "UploadPart": parts,
		"CompleteMultipartUpload": parts,
	}
}

// errorBodiesOfS3 are bodies of responses with status 200 that contain a temporary error.
var errorBodiesOfS3 = map[string]string{
	"InternalError":      `<Error><Code>InternalError</Code><Message>SECRET</Message></Error>`,
	"SlowDown":           `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Error><Code>SlowDown</Code></Error>`,
	"ServiceUnavailable": `<?xml version='1.0'?><Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>ServiceUnavailable</Code></Error>`,
	"keep-alive":         strings.Repeat(" \r\n", 3000) + `<Error><Code>InternalError</Code></Error>`,
	"keep-alive, later":  `<?xml version="1.0"?>` + strings.Repeat("\n", 3000) + `<Error><Code>InternalError</Code></Error>`,
	"declaration, later": "  " + `<?xml version="1.0"?><Error><Code>InternalError</Code></Error>`,
	"byte order mark":    "\uFEFF" + `<Error><Code>InternalError</Code></Error>`,
	"unknown code":       `<Error><Code>SomethingNew</Code></Error>`,
	"no code":            `<Error></Error>`,
	"empty element":      `<Error/>`,
	"cut":                `<Error><Code>Intern`,
	"new line in a tag":  "<Error\n><Code>InternalError</Code></Error>",
}

// An error in a response with status 200 is retried for every operation, and the call then succeeds.
func TestErrorInBody_isRetried(t *testing.T) {
	t.Parallel()
	for name, body := range errorBodiesOfS3 {
		for _, operation := range []string{
			"PutObject", "GetObject", "ListObjects", "DeleteObject", "ListMultipartUploads", "CreateMultipartUpload",
			"UploadPart", "CompleteMultipartUpload",
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				t.Parallel()
				s := &scriptedS3{operation: operation, body: body, faults: 2}
				b := newScripted(t, s)
				want := 3
				if operation == "UploadPart" {
					want = 4 // the file has two parts
				}
				if err := scriptedCalls(t, b)[operation](); err != nil || s.count(operation) != want {
					t.Errorf("%d requests and error %v, want %d and none", s.count(operation), err, want)
				}
			})
		}
	}
}

// An error in every response with status 200 is reported as S3 being unavailable. A Put stores nothing.
func TestErrorInBody_isReported(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{
		"PutObject", "GetObject", "ListObjects", "DeleteObject", "ListMultipartUploads", "CreateMultipartUpload",
		"UploadPart", "CompleteMultipartUpload",
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			s := &scriptedS3{operation: operation, body: errorBodiesOfS3["InternalError"], faults: 100}
			b := newScripted(t, s)
			err := scriptedCalls(t, b)[operation]()
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != sdk.CodeUnavailable || !e.Retryable || strings.Contains(e.Message, "SECRET") {
				t.Errorf("err = %v, want a retryable error with code %s", err, sdk.CodeUnavailable)
			}
			if n := s.count(operation); n != maxAttempts {
				t.Errorf("%d requests, want %d", n, maxAttempts)
			}
			if operation == "UploadPart" || operation == "CompleteMultipartUpload" {
				if s.count("AbortMultipartUpload") == 0 {
					t.Error("the upload was not aborted")
				}
			}
		})
	}
}

// An error that a retry cannot change keeps its meaning in a response with status 200.
func TestErrorInBody_keepsItsCode(t *testing.T) {
	t.Parallel()
	for s3Code, want := range map[string]sdk.ErrorCode{
		"AccessDenied": sdk.CodeUnauthorized, "ExpiredToken": sdk.CodeUnauthorized, "NoSuchBucket": sdk.CodeUnavailable,
		"EntityTooLarge": sdk.CodeNoSpace, "XMinioStorageFull": sdk.CodeNoSpace, "MalformedXML": sdk.CodeInternal,
	} {
		s := &scriptedS3{operation: "PutObject", body: fmt.Sprintf("<Error><Code>%s</Code></Error>", s3Code), faults: 100}
		b := newScripted(t, s)
		err := scriptedCalls(t, b)["PutObject"]()
		if e := new(sdk.Error); !errors.As(err, &e) || e.Code != want || s.count("PutObject") != 1 {
			t.Errorf("%s: err = %v after %d requests, want code %s after one", s3Code, err, s.count("PutObject"), want)
		}
	}
}

// A stored file that looks like an error of S3 is read unchanged, and other documents are no errors.
func TestErrorInBody_others(t *testing.T) {
	t.Parallel()
	s := &scriptedS3{}
	b := newScripted(t, s)
	if got, err := read(t, b, "k"); err != nil || string(got) != `<Error><Code>InternalError</Code></Error>` {
		t.Errorf("read %q, %v, want the stored document", got, err)
	}
	for _, body := range []string{
		"", " ", "x", "<", "<E", "<Err", "<Errors/>", "<ErrorResponse/>", "<error/>", "<Result><Error/></Result>", "{}",
		`<?xml version="1.0"?>`, `<?xml`, `<?xml version="1.0"?><ListBucketResult/>`, strings.Repeat(" ", 2*maxKeepAlive),
	} {
		for _, text := range []string{body, body + strings.Repeat("y", 5000)} {
			resp, err := errorBodies{fixedResponse(text)}.RoundTrip(httptest.NewRequest(http.MethodPut, "http://s3/", nil))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%.20q: got %v, %v, want status 200", text, resp, err)
			}
			defer func() { _ = resp.Body.Close() }()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != text {
				t.Errorf("%.20q: body has %d bytes, %v, want the same %d bytes", text, len(got), err, len(text))
			}
		}
	}
}

// fixedResponse is a RoundTripper that returns a response with status 200 and a body.
type fixedResponse string

func (f fixedResponse) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(f))),
	}, nil
}
