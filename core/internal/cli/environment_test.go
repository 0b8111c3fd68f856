package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadVariableFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		want    map[string]string
		wantErr string
	}{
		"file":            {[]string{"AGENTAREA_SECRET_KEY_FILE=" + path}, map[string]string{"AGENTAREA_SECRET_KEY": "hunter2"}, ""},
		"other variables": {[]string{"SSL_CERT_FILE=" + path, "AGENTAREA_X_FILE="}, map[string]string{}, ""},
		"both":            {[]string{"AGENTAREA_SECRET_KEY_FILE=" + path, "AGENTAREA_SECRET_KEY=x"}, nil, "AGENTAREA_SECRET_KEY and AGENTAREA_SECRET_KEY_FILE are both set: unset one of them"},
		"missing file":    {[]string{"AGENTAREA_SECRET_KEY_FILE=/none"}, nil, "AGENTAREA_SECRET_KEY_FILE: open /none: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]string{}
			err := readVariableFiles(c.environ, func(name, value string) error { got[name] = value; return nil })
			switch {
			case c.wantErr != "" && (err == nil || !strings.Contains(err.Error(), c.wantErr)):
				t.Errorf("error %v, want %q", err, c.wantErr)
			case c.wantErr == "" && (err != nil || !maps.Equal(got, c.want)):
				t.Errorf("got %v, error %v, want %v", got, err, c.want)
			}
		})
	}
}
