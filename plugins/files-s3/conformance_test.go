package main

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/s3test"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	plugintest.Files(t, plugintest.Command{Path: build(t), Config: configBlock(s, s.NewBucket(t), map[string]any{
		"prefix": "some/folder", "presigned_downloads": true,
	})})
}

// The bucket is created at its first use, and List ignores objects that the plugin has not
// written.
func TestCreateBucket(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	bucket := s.NewName(t)
	b := open(t, configBlock(s, bucket, map[string]any{"create_bucket": true}))
	if err := b.Health(t.Context()); err != nil {
		t.Errorf("Health() before the bucket exists = %v", err)
	}
	if _, err := b.Stat(t.Context(), "a"); sdk.AsError(err).Code != sdk.CodeNotFound {
		t.Errorf("Stat() in a new bucket = %v, want not_found", err)
	}
	if exists, err := s.Client.BucketExists(t.Context(), bucket); err != nil || exists {
		t.Errorf("after Stat(): the bucket exists = %v, %v, want no bucket", exists, err)
	}
	var wg sync.WaitGroup
	for _, key := range []string{"a", "b", "c"} {
		wg.Go(func() { mustPut(t, b, key, []byte(key)) })
	}
	wg.Wait()
	if _, err := s.Client.PutObject(t.Context(), bucket, "b", strings.NewReader("x"), 1, "",
		"", minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for o, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	if !slices.Equal(keys, []string{"a", "b", "c"}) {
		t.Errorf("List() = %q, want a, b, c", keys)
	}
}

// The host recognizes a wrong config by a Stat whose error is not retryable.
func TestStat_wrongConfig(t *testing.T) {
	t.Parallel()
	s := s3test.Start(t)
	for name, tt := range map[string]struct {
		config map[string]any
		code   sdk.ErrorCode
	}{
		"bucket": {map[string]any{"bucket": s.NewName(t)}, sdk.CodeUnavailable},
		// versitygw responds to HEAD with 404 for an unknown access key, as for a missing bucket.
		"access key": {map[string]any{"access_key": "nobody"}, sdk.CodeUnavailable},
		"secret key": {map[string]any{"secret_key": "wrong"}, sdk.CodeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, configBlock(s, s.NewBucket(t), tt.config)).Stat(t.Context(), "agentarea-check")
			if e := sdk.AsError(err); e.Code != tt.code || e.Retryable {
				t.Errorf("Stat() = %v, want %s and no retry", err, tt.code)
			}
		})
	}
}

// configBlock returns the config of a backend that uses a bucket of s, merged with more.
func configBlock(s *s3test.Server, bucket string, more map[string]any) map[string]any {
	config := map[string]any{
		"endpoint": s.URL(), "region": s.Region, "bucket": bucket, "access_key": s.AccessKey, "secret_key": s.SecretKey,
	}
	for name, value := range more {
		config[name] = value
	}
	return config
}

// build returns the path of the plugin.
func build(tb testing.TB) string {
	tb.Helper()
	return testenv.Binary(tb, "files-s3")
}
