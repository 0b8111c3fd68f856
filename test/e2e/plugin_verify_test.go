package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/test/openaitest"
	"github.com/agentarea/agentarea/test/s3test"
)

// A provider whose key is refused, and file backends without bucket or credentials: plugins check, dry_run and the
// reload fail with the reason and the line. A server that starts with them is degraded, and everything else works. A
// provider that is not reachable is no reason to fail.
func TestUnusablePlugins(t *testing.T) {
	t.Parallel()
	s3 := s3test.Start(t)
	bucket := s3.NewBucket(t)
	backend := func(bucket, secret string) string {
		return fmt.Sprintf(`
plugin "files" "s3" {
  command = "files-s3"
  config {
    endpoint   = %q
    region     = %q
    bucket     = %q
    access_key = %q
    secret_key = %q
  }
}
`, s3.URL(), s3.Region, bucket, s3.AccessKey, secret)
	}
	base := reloadPlugins(0, "") // it ends at line 10
	s := start(t, base)
	c := s.signIn()
	agent := c.newAgent("echo/echo")
	var both string
	for _, tt := range []struct{ name, block, reason string }{
		{
			"key", fmt.Sprintf(`
plugin "llm" "refused" {
  command = "llm-openai"
  config {
    base_url = %q
    api_key  = "sk-of-the-test"
  }
}
`, upstream(t, openaitest.Options{Key: "sk-another-key"})),
			"Plugin llm/refused cannot work; the provider rejected the API key; check api_key in plugins.hcl",
		},
		{"bucket", backend(bucket+"-2", s3.SecretKey), "Plugin files/s3 cannot work; S3 bucket"},
		{"credentials", backend(bucket, "wrong"), "Plugin files/s3 cannot work; S3 denied access"},
	} {
		s.writePlugins(base + tt.block)
		want := "plugins.hcl:13,3-9: " + tt.reason
		if code, out := command(t, s.dir, "plugins", "check"); code != 1 || !strings.Contains(out, want) ||
			!strings.Contains(out, "agent/chat") {
			t.Errorf("%s: plugins check: got exit code %d, want 1 and %q:\n%s", tt.name, code, want, out)
		}
		for _, query := range []string{"?dry_run=true", ""} {
			if f := c.post("/v1/plugins/reload"+query, nil).want(t, 400).failure(t); !strings.Contains(f.Details.Issue, want) {
				t.Errorf("%s: reload%s: got %+v, want %q", tt.name, query, f, want)
			}
		}
		if tt.name != "bucket" {
			both += tt.block
		}
	}
	unreachable := `
plugin "llm" "far" {
  command = "llm-openai"
  config {
    base_url = "http://127.0.0.1:1/v1"
  }
}
`
	s.writePlugins(base + unreachable)
	if code, out := command(t, s.dir, "plugins", "check"); code != 0 {
		t.Errorf("plugins check of an unreachable provider: got exit code %d, want 0:\n%s", code, out)
	}
	if r := c.reload(); len(r.Started) != 1 {
		t.Errorf("reload with an unreachable provider: %+v, want it to start", r)
	}
	if got := c.chat(agent, "s", "Hello").Message; got != "Hello" {
		t.Errorf("got the answer %q, want Hello", got)
	}

	s.terminate()
	if code := s.exitCode(t); code != 0 {
		t.Fatalf("got exit code %d, want 0", code)
	}
	s.writePlugins(base + both)
	s.restart()
	c = s.signIn()
	eventually(t, "the server is degraded", func() bool {
		ready := string(s.anonymous().get("/health/ready").want(t, 200).body)
		return strings.Contains(ready, "llm refused is unhealthy") && strings.Contains(ready, "files s3 is unhealthy")
	})
	if r := string(c.get("/v1/plugins").want(t, 200).body); !strings.Contains(r, "rejected the API key") ||
		!strings.Contains(r, "S3 denied access") {
		t.Errorf("got plugins %s, want the reasons", r)
	}
	if got := c.chat(agent, "s", "Hello again").Message; got != "Hello again" {
		t.Errorf("got the answer %q of a degraded server, want Hello again", got)
	}
}
