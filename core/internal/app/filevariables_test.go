package app

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVariablesFromFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		want    map[string]string
		wrong   string
	}{
		"a file":    {[]string{"AGENTAREA_SECRET_KEY_FILE=" + path}, map[string]string{"AGENTAREA_SECRET_KEY": "hunter2"}, ""},
		"not ours":  {[]string{"SSL_CERT_FILE=" + path, "AGENTAREA_X_FILE="}, map[string]string{}, ""},
		"both":      {[]string{"AGENTAREA_SECRET_KEY_FILE=" + path, "AGENTAREA_SECRET_KEY=x"}, nil, "AGENTAREA_SECRET_KEY and AGENTAREA_SECRET_KEY_FILE are both set (keep one)"},
		"not there": {[]string{"AGENTAREA_SECRET_KEY_FILE=/none"}, nil, "AGENTAREA_SECRET_KEY_FILE: open /none: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]string{}
			err := fromFiles(c.environ, func(name, value string) error { got[name] = value; return nil })
			switch {
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("%v, want %q", err, c.wrong)
			case c.wrong == "" && (err != nil || !maps.Equal(got, c.want)):
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
