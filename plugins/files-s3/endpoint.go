package main

import (
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/agentarea/agentarea/sdk"
)

// endpoint is where an S3 server is.
type endpoint struct {
	// host may have a port.
	host   string
	secure bool
}

// parseEndpoint reads host:port, which is https, or a URL; attribute names it in
// errors.
func parseEndpoint(attribute, raw string) (endpoint, error) {
	bad := func(summary string) (endpoint, error) {
		return endpoint{}, &sdk.ConfigError{
			Path: []string{attribute}, Summary: summary,
			Detail: `Write where the server is, such as "s3.eu-central-1.amazonaws.com" or "http://localhost:9000"`,
		}
	}
	text := strings.TrimSpace(raw)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return bad("is no address")
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("must begin with http:// or https://, or with the host")
	case u.User != nil:
		return bad("must not hold keys; use access_key and secret_key")
	case u.Hostname() == "":
		return bad("names no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return bad("must not hold a path or query; the bucket is an attribute of its own")
	}
	return endpoint{host: u.Host, secure: u.Scheme == "https"}, nil
}

func (e endpoint) isAmazon() bool {
	host, _, _ := strings.Cut(e.host, ":")
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// client makes a client of the endpoint. It asks the server nothing.
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
		Transport: transport(b.config.Timeout),
		// try does it, for it knows which failures may pass.
		MaxRetries: 1,
	})
}
