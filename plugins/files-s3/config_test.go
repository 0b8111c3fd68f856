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

// configure makes a backend as Serve does.
func configure(tb testing.TB, config map[string]any) (*backend, error) {
	tb.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	b := newBackend()
	b.pause = 10 * time.Millisecond
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
		// path is that of the one error, and words are in it; empty for none.
		path, words string
	}{
		{name: "the least", config: map[string]any{}},
		{name: "Amazon", config: map[string]any{"endpoint": "s3.eu-central-1.amazonaws.com", "region": "eu-central-1", "path_style": false}},
		{name: "all", config: map[string]any{
			"endpoint": "http://localhost:9000/", "prefix": "a/b", "access_key": "a", "secret_key": "s\n", "session_token": "t",
			"presigned_downloads": true, "presign_expiry": "168h", "public_endpoint": "https://files.example.org", "part_size": "1GiB",
			"create_bucket": true, "timeout": "1s",
		}},
		{"no bucket", map[string]any{"bucket": nil}, "bucket", "is required"},
		{"an empty bucket", map[string]any{"bucket": ""}, "bucket", "3 to 63 letters"},
		{"no bucket's name", map[string]any{"bucket": "a/b"}, "bucket", "3 to 63 letters"},
		{"unknown", map[string]any{"buckets": "a"}, "buckets", "is not known here"},
		{"no text", map[string]any{"region": 5}, "region", "string"},
		{"an empty endpoint", map[string]any{"endpoint": ""}, "endpoint", "names no host. Write where the server is, such as"},
		{"another scheme", map[string]any{"endpoint": "s3://x"}, "endpoint", "must begin with http:// or https://"},
		{"keys in the endpoint", map[string]any{"endpoint": "https://key:PASSWORD@host"}, "endpoint", "use access_key and secret_key"},
		{"a path in the endpoint", map[string]any{"endpoint": "http://host/bucket"}, "endpoint", "the bucket is an attribute of its own"},
		{"no address", map[string]any{"endpoint": "http://[::1"}, "endpoint", "is no address"},
		{"no port", map[string]any{"endpoint": "host:x"}, "endpoint", "is no address"},
		{"a public path", map[string]any{"public_endpoint": "https://host/s3"}, "public_endpoint", "must not hold a path"},
		{"an empty region", map[string]any{"region": ""}, "region", `"us-east-1"`},
		{"above the bucket", map[string]any{"prefix": "../a"}, "prefix", "Write a folder"},
		{"an absolute prefix", map[string]any{"prefix": "/a"}, "prefix", "Write a folder"},
		{"a long prefix", map[string]any{"prefix": strings.Repeat("x", 300)}, "prefix", "is too long"},
		{"a secret alone", map[string]any{"secret_key": "PASSWORD"}, "access_key", "is missing"},
		{"a key alone", map[string]any{"access_key": "PASSWORD"}, "secret_key", "is missing"},
		{"a secret of two lines", map[string]any{"access_key": "a", "secret_key": "PASS\nWORD"}, "secret_key", "on one line"},
		{"no duration", map[string]any{"timeout": "soon"}, "timeout", "30s"},
		{"a short time-out", map[string]any{"timeout": "10ms"}, "timeout", "must be 1s or longer. Write a duration"},
		{"a long expiry", map[string]any{"presign_expiry": "169h"}, "presign_expiry", "must be from 1s to 168h"},
		{"small parts", map[string]any{"part_size": "1MiB"}, "part_size", "must be from 5MiB to 1GiB"},
		{"odd parts", map[string]any{"part_size": "much"}, "part_size", `such as "16MiB"`},
		{"no boolean", map[string]any{"create_bucket": "PASSWORD"}, "create_bucket", "true or false"},
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
			if !errors.As(err, &e) || len(e.Path) != 1 || e.Path[0] != tt.path || !strings.Contains(e.Error(), tt.words) {
				t.Fatalf("err = %v; want one of %s with %q", err, tt.path, tt.words)
			}
			if strings.Contains(err.Error(), "PASS") || strings.Contains(err.Error(), "WORD") {
				t.Errorf("the error has the value: %v", err)
			}
		})
	}
}

// All that is wrong is said at once.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	_, err := configure(t, map[string]any{"bucket": "x", "endpoint": "", "timeout": "0s", "part_size": "0"})
	for _, name := range []string{"bucket: ", "endpoint: ", "timeout: ", "part_size: "} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v; want %s", err, name)
		}
	}
}
