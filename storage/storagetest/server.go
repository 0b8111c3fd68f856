package storagetest

import (
	"testing"

	"github.com/agentarea/agentarea/core"
)

func testServer(t *testing.T, f *fixture) {
	register := func(id string, at int, plugins string) core.Server {
		t.Helper()
		s := core.Server{
			ID: id, Host: "host-of-" + id, Version: "1.2.3", Keys: []string{"k1", "k2"}, Plugins: plugins,
			StartedAt: f.at(at),
		}
		ok(t, f.RegisterServer(f.ctx, &s))
		return s
	}
	lease := func(id string, until int) {
		t.Helper()
		ok(t, f.RenewLease(f.ctx, id, f.at(until)))
	}
	want := func(what string, want ...core.Server) {
		t.Helper()
		got, err := f.Servers(f.ctx, f.now)
		ok(t, err)
		same(t, what, len(got), len(want))
		for i := range min(len(got), len(want)) {
			same(t, what, got[i], want[i])
		}
	}
	want("no servers")
	lease("late", 2)
	lease("early", 2)
	lease("expired", -1)
	late, early := register("late", 1, "p"), register("early", 0, "p")
	register("expired", 0, "p")
	want("servers with a lease", early, late)
	early = register("early", 0, "q") // plugins.hcl was reloaded
	want("a server that has registered again", early, late)
	ok(t, f.ReleaseLease(f.ctx, "early"))
	want("after the end of a server", late)
	lease("late", 3)
	late = register("late", 1, "q")
	lease("early", 3)
	want("the registration of a server without a lease is deleted", late)
	none := core.Server{ID: "early", StartedAt: f.at(2)}
	ok(t, f.RegisterServer(f.ctx, &none))
	want("without keys", late, none)
}
