package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/s3test"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	plugintest.Files(t, plugintest.Command{Path: build(t), Config: block(s, s.NewBucket(t), map[string]any{
		"prefix": "some/folder", "presigned_downloads": true,
	})})
}

// A bucket's own root, small parts, MD5, and no bucket to begin with.
func TestConformanceOtherwise(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	plugintest.Files(t, plugintest.Command{Path: build(t), Config: block(s, s.NewName(), map[string]any{
		"create_bucket": true, "checksum": "md5", "part_size": "5MiB",
	})})
}

// block is the config of a backend in a bucket.
func block(s *s3test.Server, bucket string, more map[string]any) map[string]any {
	config := map[string]any{
		"endpoint": s.URL(), "region": s.Region, "bucket": bucket, "access_key": s.AccessKey, "secret_key": s.SecretKey,
	}
	for name, value := range more {
		config[name] = value
	}
	return config
}

func build(tb testing.TB) string {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "files-s3")
	if out, err := exec.CommandContext(tb.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	return binary
}
