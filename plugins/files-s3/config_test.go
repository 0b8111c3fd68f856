package main

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// configure returns a backend that is configured as files.Serve does it.
func configure(tb testing.TB, config map[string]any) (*backend, error) {
	tb.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	b := newBackend()
	b.retryDelay = 10 * time.Millisecond
	if err := plugin.Decode(data, &b.config); err != nil {
		return nil, err
	}
	if err := b.Configure(tb.Context(), sdk.Env{}); err != nil {
		return nil, err
	}
	return b, nil
}

func open(tb testing.TB, config map[string]any) *backend {
	tb.Helper()
	b, err := configure(tb, config)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestConfig(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config map[string]any
		// path is the path of the expected error and message is part of it; empty if none is expected.
		path, message string
	}{
		{name: "minimal", config: map[string]any{}},
		{name: "Amazon", config: map[string]any{"endpoint": "s3.eu-central-1.amazonaws.com", "region": "eu-central-1", "path_style": false}},
		{name: "all", config: map[string]any{
			"endpoint": "http://localhost:9000/", "prefix": "a/b", "access_key": "a", "secret_key": "s\n", "session_token": "t",
			"presigned_downloads": true, "presign_expiry": "168h",
			"public_endpoint": "https://files.example.org", "part_size": "1GiB",
			"create_bucket": true, "timeout": "1s",
		}},
		{"no bucket", map[string]any{"bucket": nil}, "bucket", "is required"},
		{"empty bucket", map[string]any{"bucket": ""}, "bucket", "3 to 63 letters"},
		{"invalid bucket name", map[string]any{"bucket": "a/b"}, "bucket", "3 to 63 letters"},
		{"unknown attribute", map[string]any{"buckets": "a"}, "buckets", "is not a known attribute"},
		{"region is not a string", map[string]any{"region": 5}, "region", "string"},
		{"empty endpoint", map[string]any{"endpoint": ""}, "endpoint", "has no host. Set it to the server's address, such as"},
		{"unknown scheme", map[string]any{"endpoint": "s3://x"}, "endpoint", "must start with http:// or https://"},
		{"keys in the endpoint", map[string]any{"endpoint": "https://key:PASSWORD@host"}, "endpoint", "use access_key and secret_key"},
		{"a path in the endpoint", map[string]any{"endpoint": "http://host/bucket"}, "endpoint", "set the bucket in bucket"},
		{"invalid address", map[string]any{"endpoint": "http://[::1"}, "endpoint", "is not a valid address"},
		{"invalid port", map[string]any{"endpoint": "host:x"}, "endpoint", "is not a valid address"},
		{"a path in the public endpoint", map[string]any{"public_endpoint": "https://host/s3"}, "public_endpoint", "must not have a path"},
		{"empty region", map[string]any{"region": ""}, "region", `"us-east-1"`},
		{"prefix above the bucket", map[string]any{"prefix": "../a"}, "prefix", "Use a folder"},
		{"absolute prefix", map[string]any{"prefix": "/a"}, "prefix", "Use a folder"},
		{"long prefix", map[string]any{"prefix": strings.Repeat("x", 300)}, "prefix", "is too long"},
		{"secret key without access key", map[string]any{"secret_key": "PASSWORD"}, "access_key", "is missing"},
		{"access key without secret key", map[string]any{"access_key": "PASSWORD"}, "secret_key", "is missing"},
		{"secret key with two lines", map[string]any{"access_key": "a", "secret_key": "PASS\nWORD"}, "secret_key", "on one line"},
		{"invalid duration", map[string]any{"timeout": "soon"}, "timeout", "30s"},
		{"short timeout", map[string]any{"timeout": "10ms"}, "timeout", "must be 1s or longer. Use a duration"},
		{"long expiry", map[string]any{"presign_expiry": "169h"}, "presign_expiry", "must be from 1s to 168h"},
		{"small parts", map[string]any{"part_size": "1MiB"}, "part_size", "must be from 5MiB to 1GiB"},
		{"invalid part size", map[string]any{"part_size": "much"}, "part_size", `such as "16MiB"`},
		{"create_bucket is not a boolean", map[string]any{"create_bucket": "PASSWORD"}, "create_bucket", "true or false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := map[string]any{"bucket": "files"}
			maps.Copy(config, tt.config)
			_, err := configure(t, config)
			if tt.path == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *sdk.ConfigError
			if !errors.As(err, &e) || len(e.Path) != 1 || e.Path[0] != tt.path || !strings.Contains(e.Error(), tt.message) {
				t.Fatalf("err = %v, want an error at %s with %q", err, tt.path, tt.message)
			}
			if strings.Contains(err.Error(), "PASS") || strings.Contains(err.Error(), "WORD") {
				t.Errorf("the error contains the value: %v", err)
			}
		})
	}
}

// All errors of a config are reported together.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	_, err := configure(t, map[string]any{"bucket": "x", "endpoint": "", "timeout": "0s", "part_size": "0"})
	for _, name := range []string{"bucket: ", "endpoint: ", "timeout: ", "part_size: "} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want one at %s", err, name)
		}
	}
}
