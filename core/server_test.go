package core_test

import (
	"testing"

	"github.com/agentarea/agentarea/core"
)

// During a documented rotation of the secret key, no server is reported.
func TestServer_SharesKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b []string
		want bool
	}{
		{"the same key", []string{"old"}, []string{"old"}, true},
		{"another key", []string{"old"}, []string{"new"}, false},
		{"the new key is added", []string{"old", "new"}, []string{"old"}, true},
		{"the new key becomes current", []string{"new", "old"}, []string{"old", "new"}, true},
		{"the old key is removed", []string{"new"}, []string{"new", "old"}, true},
		{"the new key becomes current too early", []string{"new", "old"}, []string{"old"}, false},
		{"unknown", nil, []string{"old"}, false},
	} {
		a, b := core.Server{Keys: tt.a}, core.Server{Keys: tt.b}
		if got := a.SharesKeys(&b); got != tt.want {
			t.Errorf("%s: SharesKeys() = %t, want %t", tt.name, got, tt.want)
		}
		if got := b.SharesKeys(&a); got != tt.want {
			t.Errorf("%s: SharesKeys() in the other direction = %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestServer_SharesPlugins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b core.Server
		want bool
	}{
		{"the same", core.Server{Keys: []string{"k"}, Plugins: "1"}, core.Server{Keys: []string{"k"}, Plugins: "1"}, true},
		{"another", core.Server{Keys: []string{"k"}, Plugins: "1"}, core.Server{Keys: []string{"k"}, Plugins: "2"}, false},
		{"another key", core.Server{Keys: []string{"k"}, Plugins: "1"}, core.Server{Keys: []string{"l"}, Plugins: "2"}, true},
	} {
		if got := tt.a.SharesPlugins(&tt.b); got != tt.want {
			t.Errorf("%s: SharesPlugins() = %t, want %t", tt.name, got, tt.want)
		}
	}
}
