package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
)

func TestDBStatus_servers(t *testing.T) {
	t.Parallel()
	one := core.Server{ID: "server-1", Host: "one", Version: "1.0.0", Keys: []string{"k1"}, Plugins: "p1"}
	for _, tt := range []struct {
		name string
		two  core.Server
		// want and not are texts that the output contains and does not contain.
		want, not string
	}{
		{"the same", core.Server{Host: "two", Version: "1.0.0", Keys: []string{"k1"}, Plugins: "p1"}, "two", "WARNING"},
		{
			"another key",
			core.Server{Host: "two", Version: "1.0.0", Keys: []string{"k2"}, Plugins: "p2"},
			"WARNING: the servers have different secret keys", "plugins.hcl files",
		},
		{
			"other plugins",
			core.Server{Host: "two", Version: "1.0.0", Keys: []string{"k1"}, Plugins: "p2"},
			"WARNING: the servers have different plugins.hcl files", "different secret keys",
		},
		{
			"another version",
			core.Server{Host: "two", Version: "1.1.0", Keys: []string{"k1"}, Plugins: "p1"},
			"different versions", "WARNING",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, db := newSecrets(t, 0)
			tt.two.ID = "server-2"
			for _, s := range []core.Server{one, tt.two} {
				s.StartedAt = time.Now()
				register(t, db, &s)
			}
			code, stdout, stderr := command(t, "db", "status", "--data-dir", dir)
			if code != 0 || !strings.Contains(stdout, tt.want) || strings.Contains(stdout, tt.not) {
				t.Errorf("db status prints %q (%d, %s), want %q without %q", stdout, code, stderr, tt.want, tt.not)
			}
		})
	}
}

// register adds a server with a lease.
func register(t *testing.T, db *storage.DB, s *core.Server) {
	t.Helper()
	if err := db.RenewLease(t.Context(), s.ID, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := db.RegisterServer(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}
