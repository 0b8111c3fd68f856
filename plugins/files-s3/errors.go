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

// A request is attempted up to maxAttempts times. There is no further attempt once
// retryWindow has passed, or after a timeout. The delay before a retry starts at retryDelay
// and quadruples.
const (
	maxAttempts = 3
	retryWindow = 5 * time.Second
	retryDelay  = 400 * time.Millisecond
)

// retry creates the bucket if necessary and calls do, with the retries of retryRequest.
func (b *backend) retry(ctx context.Context, call string, do func() error) error {
	return b.retryRequest(ctx, call, func() error {
		if err := b.ensureBucket(ctx); err != nil {
			return err
		}
		return do()
	})
}

// retryRequest calls do. It repeats that if the error is temporary, and returns the last error as a publicError.
func (b *backend) retryRequest(ctx context.Context, call string, do func() error) error {
	start := time.Now()
	for i := 1; ; i++ {
		err := do()
		if err == nil {
			return nil
		}
		if i == maxAttempts || !isTemporary(err) || ctx.Err() != nil || time.Since(start) > retryWindow {
			return b.publicError(ctx, call, err)
		}
		select {
		case <-time.After(b.retryDelay << (2 * (i - 1))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isTemporary reports whether the next attempt may succeed.
func isTemporary(err error) bool {
	var translated *sdk.Error
	if errors.As(err, &translated) || isTimeout(err) || isCertificateError(err) {
		return false
	}
	s := status(err)
	switch {
	case s == http.StatusInsufficientStorage, s == http.StatusNotImplemented:
		return false
	case s == 0: // connection error
		return !strings.Contains(err.Error(), "HTTP response to HTTPS client")
	}
	return s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooManyRequests
}

// isTimeout reports whether err is a network timeout.
func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

// isCertificateError reports whether err is about the server's certificate.
func isCertificateError(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// response returns S3's error response, or the zero value if there is none.
func response(err error) minio.ErrorResponse {
	var e minio.ErrorResponse
	_ = errors.As(err, &e)
	return e
}

// status returns the status code of S3's error response, or 0 if there is none.
func status(err error) int { return response(err).StatusCode }

// isUnknownAccessKey reports whether an error code means an unknown access key.
// XAdminUserNotFound is versitygw's code.
func isUnknownAccessKey(code string) bool {
	return code == minio.InvalidAccessKeyID || code == "XAdminUserNotFound"
}

// hasCode reports whether err is an error response of S3 with the given code.
func hasCode(err error, code string) bool { return err != nil && response(err).Code == code }

// publicError translates an error into the error that the host receives. It logs the
// original error, because a message to the host may reach users, who must not see details
// such as the bucket.
func (b *backend) publicError(ctx context.Context, call string, err error) error {
	var translated *sdk.Error
	switch {
	case errors.As(err, &translated):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	e := b.translate(err)
	if e.Code != sdk.CodeNotFound {
		slog.WarnContext(ctx, "S3 request failed", "call", call, "error", err)
	}
	e.ProviderStatus = status(err)
	return e
}

// translate returns the public form of an error of minio-go.
func (b *backend) translate(err error) *sdk.Error {
	r := response(err)
	switch {
	case r.StatusCode == 0:
		return b.unreachable(err)
	case r.Code == minio.NoSuchBucket:
		return b.noBucket()
	case r.Code == minio.NoSuchUpload:
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: "S3 no longer knows the upload; try again", Retryable: true}
	case r.Code == minio.NoSuchKey:
		return &sdk.Error{Code: sdk.CodeNotFound, Message: "no object has this key"}
	case r.StatusCode == http.StatusInsufficientStorage, strings.Contains(r.Code, "StorageFull"), strings.Contains(r.Code,
		"QuotaExceeded"):
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "S3 has no storage space left"}
	case r.Code == minio.EntityTooLarge:
		return &sdk.Error{Code: sdk.CodeNoSpace, Message: "the file is too large for S3"}
	case r.Code == "RequestTimeTooSkewed":
		return &sdk.Error{
			Code:    sdk.CodeUnauthorized,
			Message: "S3 rejected the request because its clock and this machine's clock differ; synchronize them",
		}
	case r.Code == "AuthorizationHeaderMalformed", r.Code == "PermanentRedirect",
		r.StatusCode == http.StatusMovedPermanently:
		return &sdk.Error{
			Code:    sdk.CodeUnauthorized,
			Message: "the S3 bucket is in another region; check region and endpoint in plugins.hcl",
		}
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden,
		isUnknownAccessKey(r.Code), r.Code == "ExpiredToken", r.Code == "InvalidToken":
		return b.unauthorized(r.Code)
	case r.StatusCode >= 500, r.StatusCode == http.StatusRequestTimeout, r.StatusCode == http.StatusTooManyRequests:
		return &sdk.Error{
			Code: sdk.CodeUnavailable, Message: fmt.Sprintf("S3 responded with status %d", r.StatusCode), Retryable: true,
		}
	}
	return &sdk.Error{
		Code:    sdk.CodeInternal,
		Message: fmt.Sprintf("S3 rejected the request with status %d, code %s", r.StatusCode, r.Code),
	}
}

// unauthorized returns the error for a rejected key, with the setting to check.
func (b *backend) unauthorized(code string) *sdk.Error {
	e := &sdk.Error{Code: sdk.CodeUnauthorized}
	switch {
	case b.config.AccessKey == "":
		e.Message = "S3 rejected the credentials; check the keys in the environment (and pass_env) or the " +
			"machine's IAM role, or set access_key and secret_key in plugins.hcl"
	case isUnknownAccessKey(code):
		e.Message = "S3 does not know the access key; check access_key and endpoint in plugins.hcl"
	case code == minio.SignatureDoesNotMatch:
		e.Message = "S3 rejected the signature; check secret_key in plugins.hcl"
	case code == "ExpiredToken" || code == "InvalidToken":
		e.Message = "S3 rejected the session token; check session_token in plugins.hcl"
	default:
		e.Message = "S3 denied access; check access_key in plugins.hcl, and the permissions of its owner for the bucket"
	}
	return e
}

// unreachable returns the error for a request without a response.
func (b *backend) unreachable(err error) *sdk.Error {
	e := &sdk.Error{Code: sdk.CodeUnavailable, Retryable: true}
	switch {
	case isCertificateError(err):
		e.Message = "the S3 server's certificate is not trusted; set SSL_CERT_FILE to a file with its certificate authority"
		e.Retryable = false
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		e.Message, e.Retryable = "the S3 server does not use TLS; start endpoint in plugins.hcl with http://", false
	case isTimeout(err):
		e.Message = "S3 did not respond in time"
	default:
		e.Message = "S3 is unreachable"
	}
	return e
}

// noBucket returns the error for a missing bucket.
func (b *backend) noBucket() *sdk.Error {
	return &sdk.Error{
		Code: sdk.CodeUnavailable,
		Message: fmt.Sprintf("S3 bucket %q does not exist; create it, set create_bucket, or check bucket in plugins.hcl",
			b.config.Bucket),
	}
}
