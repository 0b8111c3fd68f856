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

// config is the stanza's config block.
type config struct {
	Endpoint     string `config:"endpoint" default:"s3.amazonaws.com" doc:"where the server is: a host, with a port if need be; https unless written with http://"`
	Bucket       string `config:"bucket,required" doc:"the bucket that keeps the files"`
	Region       string `config:"region" default:"us-east-1" doc:"the bucket's region"`
	Prefix       string `config:"prefix" doc:"a folder in the bucket, for a bucket that others use too"`
	AccessKey    string `config:"access_key" doc:"the access key; without one AWS_ACCESS_KEY_ID and the like are looked for in the environment (pass_env lets them through), and then the machine's role is asked for"`
	SecretKey    string `config:"secret_key,secret" doc:"the secret key of access_key"`
	SessionToken string `config:"session_token,secret" doc:"the session token, if the keys are temporary"`
	PathStyle    bool   `config:"path_style" default:"true" doc:"whether the bucket is named in the URL's path; false puts it into the host's name, as Amazon has it in any case"`
	CreateBucket bool   `config:"create_bucket" default:"false" doc:"whether to make the bucket when it is not there"`

	PresignedDownloads bool          `config:"presigned_downloads" default:"false" doc:"whether downloads are redirected to the S3 server, which must then be in the clients' reach"`
	PresignExpiry      time.Duration `config:"presign_expiry" default:"5m" doc:"how long the URL of such a download is good for, at the most"`
	PublicEndpoint     string        `config:"public_endpoint" doc:"the endpoint by which clients reach the server, if it is another one"`

	PartSize string        `config:"part_size" default:"5MiB" doc:"the size of an upload's parts, from 5MiB to 1GiB: a file has 10000 parts at the most, and an upload takes the memory of two at the most"`
	Timeout  time.Duration `config:"timeout" default:"30s" doc:"how long a request may make no progress"`
}

const (
	minPart = 5 << 20
	maxPart = 1 << 30
	// maxParts is S3's limit for an object.
	maxParts = 10000
	// maxName is S3's limit for an object's name; maxPrefix is what a key leaves of it.
	maxName   = 1024
	maxPrefix = maxName - 3*255 - len(endOfName)
)

// Configure checks the config and makes the client. It asks the server nothing,
// so that an S3 that is down keeps nobody from starting.
func (b *backend) Configure(context.Context, sdk.Env) error {
	c := &b.config
	// Keys that were read from a file end in a newline.
	c.AccessKey, c.SecretKey = strings.TrimSpace(c.AccessKey), strings.TrimSpace(c.SecretKey)
	c.SessionToken = strings.TrimSpace(c.SessionToken)
	at, endpointErr := parseEndpoint("endpoint", c.Endpoint)
	public := at
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
	b.part = c.partSize()
	keys := c.credentials()
	var err error
	if b.s3, err = b.client(at, keys); err != nil {
		return &sdk.ConfigError{Path: []string{"endpoint"}, Summary: err.Error()}
	}
	if b.public, err = b.client(public, keys); err != nil {
		return &sdk.ConfigError{Path: []string{"public_endpoint"}, Summary: err.Error()}
	}
	return nil
}

// check finds what is wrong with the config but the endpoints, and reads the
// part size.
func (c *config) check() []error {
	var errs []error
	bad := func(attribute, summary, detail string) {
		errs = append(errs, &sdk.ConfigError{Path: []string{attribute}, Summary: summary, Detail: detail})
	}
	if err := s3utils.CheckValidBucketName(c.Bucket); err != nil {
		bad("bucket", "is no bucket's name", "Write one of 3 to 63 letters, digits, dots and hyphens")
	}
	if !plainLine(c.Region) || c.Region == "" {
		bad("region", "is no region", `Write the bucket's, or leave the line out: servers other than Amazon's mostly take "us-east-1"`)
	}
	if what := badPrefix(c.Prefix); what != "" {
		bad("prefix", what, `Write a folder, such as "agentarea/"`)
	}
	if c.AccessKey != "" && c.SecretKey == "" {
		bad("secret_key", "is missing, and access_key is there", "Write both, or none to have them looked for in the environment")
	}
	if c.AccessKey == "" && c.SecretKey+c.SessionToken != "" {
		bad("access_key", "is missing, and what belongs to it is there", "Write it, or no key at all to have them looked for in the environment")
	}
	for _, key := range [][2]string{{"access_key", c.AccessKey}, {"secret_key", c.SecretKey}, {"session_token", c.SessionToken}} {
		if !plainLine(key[1]) {
			bad(key[0], "holds a character that no key has", "Write the key alone, on one line")
		}
	}
	if c.PresignExpiry < time.Second || c.PresignExpiry > 7*24*time.Hour {
		bad("presign_expiry", "must be from 1s to 168h", `Write a duration, such as "5m"`)
	}
	if size, err := humanize.ParseBytes(c.PartSize); err != nil || size < minPart || size > maxPart {
		bad("part_size", "must be from 5MiB to 1GiB", `Write a size, such as "16MiB"`)
	}
	if c.Timeout < time.Second {
		bad("timeout", "must be 1s or longer", `Write a duration, such as "30s"`)
	}
	return errs
}

// partSize is checked by check.
func (c *config) partSize() int {
	size, err := humanize.ParseBytes(c.PartSize)
	if err != nil {
		return minPart
	}
	return int(size) //nolint:gosec // maxPart at the most
}

func plainLine(s string) bool { return httpguts.ValidHeaderFieldValue(s) }

// badPrefix is what is wrong with a prefix; empty for nothing.
func badPrefix(prefix string) string {
	folder := strings.TrimSuffix(prefix, "/")
	switch {
	case prefix == "":
		return ""
	case len(folder)+1 > maxPrefix:
		return "is too long"
	case !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, unicode.IsControl):
		return "holds characters that can't be in a name"
	case path.Clean("/"+folder) != "/"+folder || strings.HasPrefix(folder, "/") || folder == "":
		return "has an empty folder, or one of dots"
	}
	return ""
}

// credentials are those of the config, or whatever the environment has to offer.
func (c *config) credentials() *credentials.Credentials {
	if c.AccessKey != "" {
		return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.IAM{Client: &http.Client{Transport: transport(dialTimeout), Timeout: 2 * dialTimeout}},
	})
}
