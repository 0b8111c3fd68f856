package e2e_test

import (
	"strings"
	"testing"
)

// A replica with another secret key or another plugins.hcl is reported by itself and by the other one: in the log, by
// /health/ready and by db status. The key itself is nowhere.
func TestReplicaConfig(t *testing.T) {
	t.Parallel()
	const plugins = "plugin \"agent\" \"chat\" {\n  command = \"agent-chat\"\n}\nplugin \"llm\" \"echo\" {\n  command = \"llm-echo\"\n"
	a, b := newServers(t, plugins+"}\n")
	a.start()
	if got := a.degraded(); got != "" {
		t.Errorf("a single replica is degraded: %s", got)
	}
	b.start()
	if got := b.degraded(); got != "" {
		t.Errorf("a replica with the same configuration is degraded: %s", got)
	}
	b.terminate()
	b.exitCode(t)

	b.writePlugins(plugins + "  models = [\"other\"]\n}\n")
	b.restart()
	b.wantDegraded("another plugins.hcl", "plugins.hcl files")
	a.wantDegraded("another plugins.hcl", "plugins.hcl files")
	b.writePlugins(plugins + "}\n")
	b.signIn().post("/v1/plugins/reload", nil).want(t, 200)
	eventually(t, "the end of the difference", func() bool { return a.degraded() == "" && b.degraded() == "" })
	b.terminate()
	b.exitCode(t)

	key := strings.Repeat("7a", 32)
	b.env = append(b.env, "AGENTAREA_SECRET_KEY="+key)
	b.restart()
	b.wantDegraded("another secret key", "different secret keys")
	a.wantDegraded("another secret key", "different secret keys")
	for _, s := range []*server{a, b} {
		if text := s.stderr.String() + s.degraded(); strings.Contains(text, key) {
			t.Errorf("the secret key is in %s", text)
		}
	}
}

// degraded returns the message of the check "replicas" of /health/ready, or "" if it succeeds.
func (s *server) degraded() string {
	s.t.Helper()
	checks := decode[struct {
		Checks []struct{ Name, Status, Message string }
	}](s.t, s.anonymous().get("/health/ready").want(s.t, 200)).Checks
	for _, c := range checks {
		if c.Name == "replicas" {
			return c.Message
		}
	}
	s.t.Fatalf("/health/ready has no check of the replicas: %+v", checks)
	return ""
}

// wantDegraded waits until /health/ready reports a difference, and checks that the log and db status do, too.
func (s *server) wantDegraded(message, status string) {
	s.t.Helper()
	eventually(s.t, "degraded: "+message, func() bool { return strings.Contains(s.degraded(), message) })
	eventually(s.t, "log: "+message, func() bool { return strings.Contains(s.stderr.String(), "have "+message) })
	p := run(s.t, s.dir, s.env, "db", "status")
	if code := p.exitCode(s.t); code != 0 || !strings.Contains(p.stdout.String(), status) {
		s.t.Errorf("db status prints %s %s, want %q", p.stdout, p.stderr, status)
	}
}
