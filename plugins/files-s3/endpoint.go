package main

import (
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/agentarea/agentarea/sdk"
)

// endpoint is the address of an S3 server.
type endpoint struct {
	// host may include a port.
	host   string
	secure bool
}

// parseEndpoint parses a URL, or host:port, which implies https. Errors refer to the given
// attribute.
func parseEndpoint(attribute, raw string) (endpoint, error) {
	invalid := func(summary string) (endpoint, error) {
		return endpoint{}, &sdk.ConfigError{
			Path: []string{attribute}, Summary: summary,
			Detail: `Set it to the server's address, such as "s3.eu-central-1.amazonaws.com" or "http://localhost:9000"`,
		}
	}
	text := strings.TrimSpace(raw)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return invalid("is not a valid address")
	case u.Scheme != "http" && u.Scheme != "https":
		return invalid("must start with http:// or https://, or with the host")
	case u.User != nil:
		return invalid("must not contain keys; use access_key and secret_key")
	case u.Hostname() == "":
		return invalid("has no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return invalid("must not have a path or query; set the bucket in bucket")
	}
	return endpoint{host: u.Host, secure: u.Scheme == "https"}, nil
}

// isAmazon reports whether the endpoint is a server of Amazon S3.
func (e endpoint) isAmazon() bool {
	host, _, _ := strings.Cut(e.host, ":")
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// client returns a client of the endpoint. It sends no request.
func (b *backend) client(e endpoint, keys *credentials.Credentials) (*minio.Core, error) {
	lookup := minio.BucketLookupDNS
	switch {
	case e.isAmazon():
		lookup = minio.BucketLookupAuto
	case b.config.PathStyle:
		lookup = minio.BucketLookupPath
	}
	return minio.NewCore(e.host, &minio.Options{
		Creds: keys, Secure: e.secure, Region: b.config.Region, BucketLookup: lookup,
		Transport: errorBodies{transport(b.config.Timeout)},
		// retry repeats requests instead, because it knows which errors are temporary.
		MaxRetries: 1,
	})
}
