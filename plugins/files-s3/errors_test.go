package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/test/s3test"
)

// TestErrorResponses checks the error that the host receives for each error response of S3.
func TestErrorResponses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status  int
		s3Code  string
		code    sdk.ErrorCode
		message string
	}{
		{404, "NoSuchKey", sdk.CodeNotFound, "no object"},
		{404, "NoSuchBucket", sdk.CodeUnavailable, "does not exist; create it, set create_bucket, or check bucket"},
		{403, "AccessDenied", sdk.CodeUnauthorized, "the permissions of its owner"},
		{403, "InvalidAccessKeyId", sdk.CodeUnauthorized, "check access_key"},
		{403, "SignatureDoesNotMatch", sdk.CodeUnauthorized, "check secret_key"},
		{403, "RequestTimeTooSkewed", sdk.CodeUnauthorized, "clock"},
		{400, "ExpiredToken", sdk.CodeUnauthorized, "check session_token"},
		{400, "AuthorizationHeaderMalformed", sdk.CodeUnauthorized, "check region"},
		{301, "PermanentRedirect", sdk.CodeUnauthorized, "check region"},
		{507, "XMinioStorageFull", sdk.CodeNoSpace, "no storage space left"},
		{403, "QuotaExceeded", sdk.CodeNoSpace, "no storage space left"},
		{400, "EntityTooLarge", sdk.CodeNoSpace, "too large"},
		{503, "SlowDown", sdk.CodeUnavailable, "503"},
		{500, "InternalError", sdk.CodeUnavailable, "500"},
		{400, "MalformedXML", sdk.CodeInternal, "MalformedXML"},
	} {
		t.Run(tt.s3Code, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Amz-Security-Token") != "TOKEN" {
					t.Error("the request has no session token")
				}
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(tt.status)
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>SECRET TOKEN</Message></Error>", tt.s3Code)
			}))
			defer s.Close()
			b := open(t, map[string]any{
				"endpoint": s.URL, "bucket": "files", "access_key": "ACCESS", "secret_key": "SECRET", "session_token": "TOKEN",
			})
			_, err := read(t, b, "k")
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.ProviderStatus != tt.status ||
				!strings.Contains(e.Message, tt.message) {
				t.Fatalf("err = %v, want code %s with %q", err, tt.code, tt.message)
			}
			for _, secret := range []string{"ACCESS", "SECRET", "TOKEN"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error contains a secret: %v", err)
				}
			}
		})
	}
}

// TestMisconfigured checks the errors for a valid config that does not match the server.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket, missing := s.NewBucket(t), s.NewName(t)
	for _, tt := range []struct {
		name    string
		config  map[string]any
		code    sdk.ErrorCode
		message string
	}{
		{"an unknown access key", map[string]any{"access_key": "nobody"}, sdk.CodeUnauthorized, "check access_key"},
		{"a wrong secret", map[string]any{"secret_key": "wrong"}, sdk.CodeUnauthorized, "check"},
		{"missing bucket", map[string]any{"bucket": missing}, sdk.CodeUnavailable, "bucket \"" + missing + "\" does not exist; create it, set create_bucket"},
		{"TLS", map[string]any{"endpoint": "https://" + s.Endpoint}, sdk.CodeUnavailable, "start endpoint in plugins.hcl with http://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, configBlock(s, bucket, tt.config))
			methods := allCalls(t, b)
			methods["Health"] = func() error { return b.Health(t.Context()) }
			for name, call := range methods {
				err := call()
				if err == nil || !strings.Contains(err.Error(), "S3") {
					t.Errorf("%s = %v, want an error that mentions S3", name, err)
					continue
				}
				var e *sdk.Error
				if name == "Stat" || name == "Health" {
					// Responses to HEAD have no body with details.
					if errors.As(err, &e) && (e.Code == sdk.CodeNotFound || e.Retryable) {
						t.Errorf("%s: unexpected error %v", name, err)
					}
				} else if !errors.As(err, &e) || e.Code != tt.code || e.Retryable || !strings.Contains(e.Message, tt.message) {
					t.Errorf("%s = %v, want code %s with %q", name, err, tt.code, tt.message)
				}
			}
		})
	}
}
