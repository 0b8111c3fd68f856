package main

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"golang.org/x/net/http/httpguts"

	"github.com/agentarea/agentarea/sdk"
)

// config is the config block in plugins.hcl.
type config struct {
	Endpoint     string `config:"endpoint" default:"s3.amazonaws.com" doc:"host of the S3 server, with an optional port; https, unless it starts with http://"`
	Bucket       string `config:"bucket,required" doc:"bucket that stores the files"`
	Region       string `config:"region" default:"us-east-1" doc:"region of the bucket"`
	Prefix       string `config:"prefix" doc:"folder in the bucket, for a bucket that is shared with other applications"`
	AccessKey    string `config:"access_key" doc:"access key; default: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from the plugin's environment (see pass_env), or else the machine's IAM role"`
	SecretKey    string `config:"secret_key,secret" doc:"secret key of access_key"`
	SessionToken string `config:"session_token,secret" doc:"session token of temporary keys"`
	PathStyle    bool   `config:"path_style" default:"true" doc:"true for path-style URLs (host/bucket), false for virtual-hosted URLs (bucket.host); ignored for Amazon, which uses virtual-hosted URLs"`
	CreateBucket bool   `config:"create_bucket" default:"false" doc:"whether to create the bucket if it does not exist"`

	PresignedDownloads bool          `config:"presigned_downloads" default:"false" doc:"whether downloads are redirected to the S3 server; clients must be able to reach it"`
	PresignExpiry      time.Duration `config:"presign_expiry" default:"5m" doc:"maximum validity of a presigned download URL, from 1s to 168h"`
	PublicEndpoint     string        `config:"public_endpoint" doc:"endpoint for clients, if it differs from endpoint"`

	PartSize string        `config:"part_size" default:"5MiB" doc:"size of the parts of an upload, from 5MiB to 1GiB; a file has at most 10000 parts, and an upload holds at most two parts in memory"`
	Timeout  time.Duration `config:"timeout" default:"30s" doc:"how long a request may stall before it fails"`
}

const (
	minPart = 5 << 20
	maxPart = 1 << 30
	// maxParts is S3's maximum number of parts of an object.
	maxParts = 10000
	// maxName is S3's maximum length of an object's name. maxPrefix is the part of it that
	// the longest key does not need.
	maxName   = 1024
	maxPrefix = maxName - 3*255 - len(endOfName)
)

// Configure checks the config and creates the clients. It sends no request, so that the
// plugin can start while S3 is down.
func (b *backend) Configure(context.Context, sdk.Env) error {
	c := &b.config
	// Keys that are read from a file may end in a newline.
	c.AccessKey, c.SecretKey = strings.TrimSpace(c.AccessKey), strings.TrimSpace(c.SecretKey)
	c.SessionToken = strings.TrimSpace(c.SessionToken)
	server, endpointErr := parseEndpoint("endpoint", c.Endpoint)
	public := server
	var publicErr error
	if c.PublicEndpoint != "" {
		public, publicErr = parseEndpoint("public_endpoint", c.PublicEndpoint)
	}
	if err := errors.Join(append(c.check(), endpointErr, publicErr)...); err != nil {
		return err
	}
	if c.Prefix != "" && !strings.HasSuffix(c.Prefix, "/") {
		c.Prefix += "/"
	}
	b.slots = make(chan struct{}, maxUploads)
	b.partSizeBytes = c.partSize()
	keys := c.credentials()
	var err error
	if b.s3, err = b.client(server, keys); err != nil {
		return &sdk.ConfigError{Path: []string{"endpoint"}, Summary: err.Error()}
	}
	if b.public, err = b.client(public, keys); err != nil {
		return &sdk.ConfigError{Path: []string{"public_endpoint"}, Summary: err.Error()}
	}
	return nil
}

// check returns an error for each invalid attribute, except for the endpoints.
func (c *config) check() []error {
	var errs []error
	invalid := func(attribute, summary, detail string) {
		errs = append(errs, &sdk.ConfigError{Path: []string{attribute}, Summary: summary, Detail: detail})
	}
	if err := s3utils.CheckValidBucketName(c.Bucket); err != nil {
		invalid("bucket", "is not a valid bucket name", "Use 3 to 63 letters, digits, dots and hyphens")
	}
	if !isHeaderValue(c.Region) || c.Region == "" {
		invalid("region", "is not a valid region",
			`Set it to the bucket's region, or remove the line: most servers other than Amazon's accept "us-east-1"`)
	}
	if issue := prefixIssue(c.Prefix); issue != "" {
		invalid("prefix", issue, `Use a folder such as "agentarea/"`)
	}
	if c.AccessKey != "" && c.SecretKey == "" {
		invalid("secret_key", "is missing, but access_key is set",
			"Set both, or neither to take the keys from the environment")
	}
	if c.AccessKey == "" && c.SecretKey+c.SessionToken != "" {
		invalid("access_key", "is missing, but secret_key or session_token is set",
			"Set all keys, or none to take them from the environment")
	}
	for _, key := range [][2]string{
		{"access_key", c.AccessKey}, {"secret_key", c.SecretKey}, {"session_token", c.SessionToken},
	} {
		if !isHeaderValue(key[1]) {
			invalid(key[0], "contains an invalid character", "Set it to the key alone, on one line")
		}
	}
	if c.PresignExpiry < time.Second || c.PresignExpiry > 7*24*time.Hour {
		invalid("presign_expiry", "must be from 1s to 168h", `Use a duration such as "5m"`)
	}
	if size, err := humanize.ParseBytes(c.PartSize); err != nil || size < minPart || size > maxPart {
		invalid("part_size", "must be from 5MiB to 1GiB", `Use a size such as "16MiB"`)
	}
	if c.Timeout < time.Second {
		invalid("timeout", "must be 1s or longer", `Use a duration such as "30s"`)
	}
	return errs
}

// partSize returns part_size in bytes. check has validated it.
func (c *config) partSize() int {
	size, err := humanize.ParseBytes(c.PartSize)
	if err != nil {
		return minPart
	}
	return int(size) //nolint:gosec // check limits it to maxPart
}

// isHeaderValue reports whether a string can be sent in a header.
func isHeaderValue(s string) bool { return httpguts.ValidHeaderFieldValue(s) }

// prefixIssue returns the reason why a prefix is invalid, or "" if it is valid.
func prefixIssue(prefix string) string {
	folder := strings.TrimSuffix(prefix, "/")
	switch {
	case prefix == "":
		return ""
	case len(folder)+1 > maxPrefix:
		return "is too long"
	case !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, unicode.IsControl):
		return "contains characters that are not allowed in an object's name"
	case path.Clean("/"+folder) != "/"+folder || strings.HasPrefix(folder, "/") || folder == "":
		return `has an empty segment, or a segment "." or ".."`
	}
	return ""
}

// credentials returns the keys of the config, or a chain of the environment and the
// machine's role.
func (c *config) credentials() *credentials.Credentials {
	if c.AccessKey != "" {
		return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.IAM{Client: &http.Client{Transport: transport(dialTimeout), Timeout: 2 * dialTimeout}},
	})
}
