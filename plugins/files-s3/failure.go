package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
)

// A request is tried so often, unless that took patience, and four times longer
// after each pause; what has made no progress for its timeout is not tried again.
const (
	attempts = 3
	patience = 5 * time.Second
	pause    = 400 * time.Millisecond
)

// try calls S3, in a bucket that is there, again if the failure may pass, and
// translates it.
func (b *backend) try(ctx context.Context, what string, call func() error) error {
	began := time.Now()
	for i := 1; ; i++ {
		err := b.makeBucket(ctx)
		if err == nil {
			err = call()
		}
		if err == nil {
			return nil
		}
		if i == attempts || !passing(err) || ctx.Err() != nil || time.Since(began) > patience {
			return b.failure(ctx, what, err)
		}
		select {
		case <-time.After(b.pause << (2 * (i - 1))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// passing says that a failure may be gone at the next try.
func passing(err error) bool {
	var translated *sdk.Error
	if errors.As(err, &translated) || timedOut(err) || distrusted(err) {
		return false
	}
	s := status(err)
	switch {
	case s == http.StatusInsufficientStorage, s == http.StatusNotImplemented:
		return false
	case s == 0: // the connection
		return !strings.Contains(err.Error(), "HTTP response to HTTPS client")
	}
	return s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooManyRequests
}

func timedOut(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

func distrusted(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// response is S3's answer; the zero value for none.
func response(err error) minio.ErrorResponse {
	var e minio.ErrorResponse
	_ = errors.As(err, &e)
	return e
}

// status is that of S3's answer; 0 for none.
func status(err error) int { return response(err).StatusCode }

// unknownKey says that an answer's code is about the access key. The second one
// is versitygw's.
func unknownKey(code string) bool {
	return code == minio.InvalidAccessKeyID || code == "XAdminUserNotFound"
}

func hasCode(err error, code string) bool { return err != nil && response(err).Code == code }

// failure is what the host hears of an error. The log has the rest: the host's
// words may reach users, whom no name of a bucket concerns.
func (b *backend) failure(ctx context.Context, what string, err error) error {
	var translated *sdk.Error
	switch {
	case errors.As(err, &translated):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	e := b.translate(err)
	if e.Code != sdk.CodeNotFound {
		slog.WarnContext(ctx, "S3 fails", "call", what, "error", err)
	}
	e.ProviderStatus = status(err)
	return e
}

func (b *backend) translate(err error) *sdk.Error {
	r := response(err)
	switch {
	case r.StatusCode == 0:
		return b.unreachable(err)
	case r.Code == minio.NoSuchBucket:
		return b.noBucket()
	case r.Code == minio.NoSuchUpload:
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: "S3 has dropped the upload", Retryable: true}
	case r.Code == minio.NoSuchKey:
		return &sdk.Error{Code: sdk.CodeNotFound, Message: "there is no object of that key"}
	case r.StatusCode == http.StatusInsufficientStorage, strings.Contains(r.Code, "StorageFull"), strings.Contains(r.Code, "QuotaExceeded"):
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "S3 has no room left"}
	case r.Code == minio.EntityTooLarge:
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "S3 takes no file of that size"}
	case r.Code == "RequestTimeTooSkewed":
		return &sdk.Error{Code: sdk.CodeUnauthorized, Message: "S3 refuses the request, for its clock and this machine's differ"}
	case r.Code == "AuthorizationHeaderMalformed", r.Code == "PermanentRedirect", r.StatusCode == http.StatusMovedPermanently:
		return &sdk.Error{Code: sdk.CodeUnauthorized, Message: "S3 has the bucket in another region; check region and endpoint in plugins.hcl"}
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden,
		unknownKey(r.Code), r.Code == "ExpiredToken", r.Code == "InvalidToken":
		return b.unauthorized(r.Code)
	case r.StatusCode >= 500, r.StatusCode == http.StatusRequestTimeout, r.StatusCode == http.StatusTooManyRequests:
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: fmt.Sprintf("S3 fails with status %d", r.StatusCode), Retryable: true}
	}
	return &sdk.Error{Code: sdk.CodeInternal, Message: fmt.Sprintf("S3 refuses the request with status %d, %s", r.StatusCode, r.Code)}
}

func (b *backend) unauthorized(code string) *sdk.Error {
	e := &sdk.Error{Code: sdk.CodeUnauthorized}
	switch {
	case b.config.AccessKey == "":
		e.Message = "S3 refuses the request; check the keys in the environment, which need pass_env, or the machine's role, or set access_key and secret_key in plugins.hcl"
	case unknownKey(code):
		e.Message = "S3 does not know the access key; check access_key and endpoint in plugins.hcl"
	case code == minio.SignatureDoesNotMatch:
		e.Message = "S3 refuses the signature; check secret_key in plugins.hcl"
	case code == "ExpiredToken" || code == "InvalidToken":
		e.Message = "S3 refuses the session token; check session_token in plugins.hcl"
	default:
		e.Message = "S3 forbids it to the access key; check access_key in plugins.hcl, and the rights that its owner has to the bucket"
	}
	return e
}

// unreachable is a failure without an answer.
func (b *backend) unreachable(err error) *sdk.Error {
	e := &sdk.Error{Code: sdk.CodeUnavailable, Retryable: true}
	switch {
	case distrusted(err):
		e.Message, e.Retryable = "S3's certificate is not trusted; SSL_CERT_FILE may name its authority", false
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		e.Message, e.Retryable = "S3 speaks no TLS; write http:// before endpoint in plugins.hcl", false
	case timedOut(err):
		e.Message = "S3 does not answer"
	default:
		e.Message = "S3 can't be reached"
	}
	return e
}

func (b *backend) noBucket() *sdk.Error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: fmt.Sprintf("S3 has no bucket %q; make it, or set create_bucket, or check bucket in plugins.hcl", b.config.Bucket)}
}
