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

// TestAnswers is what the host hears of S3's answers.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		answer string
		code   sdk.ErrorCode
		words  string
	}{
		{404, "NoSuchKey", sdk.CodeNotFound, "no object"},
		{404, "NoSuchBucket", sdk.CodeUnavailable, "set create_bucket, or check bucket"},
		{403, "AccessDenied", sdk.CodeUnauthorized, "the rights that its owner has"},
		{403, "InvalidAccessKeyId", sdk.CodeUnauthorized, "check access_key"},
		{403, "SignatureDoesNotMatch", sdk.CodeUnauthorized, "check secret_key"},
		{403, "RequestTimeTooSkewed", sdk.CodeUnauthorized, "clock"},
		{400, "ExpiredToken", sdk.CodeUnauthorized, "check session_token"},
		{400, "AuthorizationHeaderMalformed", sdk.CodeUnauthorized, "check region"},
		{301, "PermanentRedirect", sdk.CodeUnauthorized, "check region"},
		{507, "XMinioStorageFull", sdk.CodeNoSpace, "no room left"},
		{403, "QuotaExceeded", sdk.CodeNoSpace, "no room left"},
		{400, "EntityTooLarge", sdk.CodeNoSpace, "of that size"},
		{503, "SlowDown", sdk.CodeUnavailable, "503"},
		{500, "InternalError", sdk.CodeUnavailable, "500"},
		{400, "MalformedXML", sdk.CodeInternal, "MalformedXML"},
	} {
		t.Run(tt.answer, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Amz-Security-Token") != "TOKEN" {
					t.Error("a request has no session token")
				}
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(tt.status)
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>SECRET TOKEN</Message></Error>", tt.answer)
			}))
			defer s.Close()
			b := open(t, map[string]any{
				"endpoint": s.URL, "bucket": "files", "access_key": "ACCESS", "secret_key": "SECRET", "session_token": "TOKEN",
			})
			_, err := read(t, b, "k")
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.ProviderStatus != tt.status || !strings.Contains(e.Message, tt.words) {
				t.Fatalf("err = %v; want %s with %q", err, tt.code, tt.words)
			}
			for _, secret := range []string{"ACCESS", "SECRET", "TOKEN"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error has a secret: %v", err)
				}
			}
		})
	}
}

// TestRefused is what a server says of a config that does not fit it.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket, none := s.NewBucket(t), s.NewName(t)
	for _, tt := range []struct {
		name   string
		config map[string]any
		code   sdk.ErrorCode
		words  string
	}{
		{"an unknown access key", map[string]any{"access_key": "nobody"}, sdk.CodeUnauthorized, "check access_key"},
		{"a wrong secret", map[string]any{"secret_key": "wrong"}, sdk.CodeUnauthorized, "check"},
		{"no bucket", map[string]any{"bucket": none}, sdk.CodeUnavailable, "has no bucket \"" + none + "\"; make it, or set create_bucket"},
		{"TLS", map[string]any{"endpoint": "https://" + s.Endpoint}, sdk.CodeUnavailable, "write http:// before endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, block(s, bucket, tt.config))
			all := calls(t, b)
			all["Health"] = func() error { return b.Health(t.Context()) }
			for what, call := range all {
				err := call()
				if err == nil || !strings.Contains(err.Error(), "S3") {
					t.Errorf("%s: %v", what, err)
					continue
				}
				var e *sdk.Error
				if what == "Stat" || what == "Health" {
					// The answers to HEAD are bare.
					if errors.As(err, &e) && (e.Code == sdk.CodeNotFound || e.Retryable) {
						t.Errorf("%s: %v", what, err)
					}
				} else if !errors.As(err, &e) || e.Code != tt.code || e.Retryable || !strings.Contains(e.Message, tt.words) {
					t.Errorf("%s: %v; want %s with %q", what, err, tt.code, tt.words)
				}
			}
		})
	}
}
