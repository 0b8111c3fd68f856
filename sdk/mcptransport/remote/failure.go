package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/netguard"
)

// failure converts the error of a request. It does not use the texts of net and net/http, because they
// contain addresses and the URL, whose query may be secret.
func (c *Client) failure(ctx context.Context, err error) *sdk.Error {
	if errors.Is(context.Cause(ctx), errNoAnswer) {
		return &sdk.Error{Code: sdk.CodeTimeout, Message: c.Host() + " did not answer in time", Retryable: true}
	}
	if ctx.Err() != nil {
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "the request to " + c.Host() + " was cancelled"}
	}
	var known *sdk.Error
	if errors.As(err, &known) {
		return &sdk.Error{Code: known.Code, Message: c.Host() + " " + known.Message}
	}
	var blocked *netguard.BlockedError
	if errors.As(err, &blocked) {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: blockedMessage(err)}
	}
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.Host() + " " + reason(err), Retryable: true}
}

// blockedMessage returns the message for an address that the guard blocks.
func blockedMessage(err error) string {
	var blocked *netguard.BlockedError
	if errors.As(err, &blocked) && blocked.Always {
		return err.Error() + ", which this server never connects to; use another URL"
	}
	return err.Error() + ", which this server does not connect to; an administrator can allow it in plugins.hcl"
}

// reason returns a description of err that follows the name of the host.
func reason(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "cannot be found: no such host"
	case errors.As(err, &dns):
		return "cannot be found: temporary DNS failure"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "cannot be reached: the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err,
		io.ErrUnexpectedEOF):
		return "broke the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "cannot be reached: no route to host"
	case errors.As(err, &unknown):
		return "has a certificate signed by an unknown authority; an administrator can add the authority with ca_file"
	case errors.As(err, &hostname):
		return "has a certificate for another host"
	case errors.As(err, &invalid):
		return "has a certificate that is not valid: " + invalid.Error()
	case errors.As(err, &verify):
		return "has a certificate that is not trusted"
	case errors.As(err, &alert), errors.As(err, &record):
		return "cannot be reached: the TLS handshake failed"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "cannot be reached: it did not answer in time"
	}
	return "cannot be reached: " + innermost(err)
}

// innermost returns the text of the innermost error, without addresses.
func innermost(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return "the connection failed"
	}
	return err.Error()
}

// StatusError returns an error for the status code of a response without a message. It returns nil if the
// status code means success.
func (c *Client) StatusError(resp *http.Response) *sdk.Error {
	if resp.StatusCode < 300 {
		return nil
	}
	e := &sdk.Error{Code: sdk.CodeUnavailable, ProviderStatus: resp.StatusCode}
	status := fmt.Sprintf("%s answered %d %s", c.Host(), resp.StatusCode, http.StatusText(resp.StatusCode))
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden,
		resp.StatusCode == http.StatusProxyAuthRequired:
		e.Code, e.Message = sdk.CodeUnauthorized, status+": check the headers in the server's config"
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusMethodNotAllowed:
		e.Code, e.Message = sdk.CodeNotFound, status+": check the URL, there seems to be no MCP server of this transport"
	case resp.StatusCode == http.StatusTooManyRequests:
		e.Code, e.Message, e.Retryable = sdk.CodeRateLimited, status, true
	case resp.StatusCode >= 500:
		e.Message, e.Retryable = status, true
	case IsHTML(resp):
		e.Message = c.WebPage().Message
	default:
		e.Code, e.Message = sdk.CodeInvalidRequest, status
	}
	return e
}

// WebPage returns the error for a response that is a web page.
func (c *Client) WebPage() *sdk.Error {
	return &sdk.Error{
		Code: sdk.CodeUnavailable, Message: c.Host() + " answered with a web page: the URL is not the URL of an MCP server",
	}
}

// Unexpected returns the error for a response with an unexpected media type.
func (c *Client) Unexpected(resp *http.Response) *sdk.Error {
	if IsHTML(resp) {
		return c.WebPage()
	}
	what := "without a Content-Type"
	if t := MediaType(resp); t != "" {
		what = "with " + t
	}
	return &sdk.Error{
		Code:    sdk.CodeUnavailable,
		Message: fmt.Sprintf("%s answered with status %d %s, which is not an MCP message", c.Host(), resp.StatusCode, what),
	}
}

// Broke returns the error for a connection that ended early. The what describes when.
func (c *Client) Broke(what string) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.Host() + " broke the connection " + what, Retryable: true}
}

// MediaType returns the media type of a response in lower case and without parameters, or "" if there is
// none.
func MediaType(resp *http.Response) string {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// IsHTML reports whether a response is a web page.
func IsHTML(resp *http.Response) bool {
	t := MediaType(resp)
	return t == "text/html" || t == "application/xhtml+xml"
}
