package secrets

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
)

var _ core.Encrypter = (*Keyring)(nil)

func keyring(t *testing.T, roots ...string) *Keyring {
	t.Helper()
	keys := make([][]byte, len(roots))
	for i, root := range roots {
		keys[i] = []byte(root)
	}
	s, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	root  = strings.Repeat("r", 32)
	other = strings.Repeat("o", 32)
)

func seal(t *testing.T, s *Keyring, of, secret string) []byte {
	t.Helper()
	sealed, err := s.Encrypt(of, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatIsSealedIsOpenedByTheSameRootKey(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "a", "secret-key", strings.Repeat("long ", 100_000), "\x00\xff"} {
		for _, of := range []string{"", "server-1"} {
			got, err := keyring(t, root).Decrypt(of, seal(t, keyring(t, root), of, secret))
			if err != nil || string(got) != secret {
				t.Errorf("%.9q of %q is opened as %.9q: %v", secret, of, got, err)
			}
		}
	}
}

func TestNothingElseOpensIt(t *testing.T) {
	t.Parallel()
	s := keyring(t, root)
	sealed := seal(t, s, "server-1", "secret-key")
	newer := bytes.Clone(sealed)
	newer[0]++
	older := bytes.Clone(sealed)
	older[0] = formDirect
	// The id of the other key before what this one sealed.
	renamed := bytes.Clone(sealed)
	copy(renamed[1:], keyring(t, other).current.id[:])
	// One's data key with another's secret, both of the same row.
	mixed := append(bytes.Clone(sealed[:headSize+dataKeySize+overhead]), seal(t, s, "server-1", "other-key!")[headSize+dataKeySize+overhead:]...)
	for name, c := range map[string]struct {
		by     *Keyring
		of     string
		sealed []byte
		want   string
	}{
		"another root key":       {keyring(t, other), "server-1", sealed, "another secret key"},
		"another root's id":      {keyring(t, other), "server-1", renamed, "was changed"},
		"of another row":         {s, "server-2", sealed, "secret of something else"},
		"of nothing":             {s, "", sealed, "secret of something else"},
		"nothing":                {s, "server-1", nil, "not sealed by this program"},
		"a head alone":           {s, "server-1", sealed[:headSize], "not sealed by this program"},
		"a data key alone":       {s, "server-1", sealed[:headSize+dataKeySize+overhead], "not sealed by this program"},
		"another's data key":     {s, "server-1", mixed, "was changed"},
		"as if of form 1":        {s, "server-1", older, "was changed"},
		"one byte less":          {s, "server-1", sealed[:len(sealed)-1], "was changed"},
		"one byte more":          {s, "server-1", append(bytes.Clone(sealed), 0), "was changed"},
		"of a newer program":     {s, "server-1", newer, "not sealed by this program"},
		"what was never sealed":  {s, "server-1", []byte(`{"env":{"API_KEY":"secret-key"},"headers":{}}`), "not sealed by this program"},
		"the end, as if it were": {s, "server-1", sealed[1:], ""},
	} {
		got, err := c.by.Decrypt(c.of, c.sealed)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret-key") {
			t.Errorf("%s: the error tells it: %v", name, err)
		}
	}
}

func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	s := keyring(t, root)
	sealed := seal(t, s, "server-1", "secret-key")
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if got, err := s.Decrypt("server-1", changed); err == nil {
				t.Fatalf("with bit %d of byte %d changed it is opened as %q", bit, i, got)
			}
		}
	}
}

// TestNothingShows: neither the secret nor that two are the same.
func TestNothingShows(t *testing.T) {
	t.Parallel()
	s := keyring(t, root)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				sealed, err := s.Encrypt("server-1", []byte("secret-key"))
				mu.Lock()
				if err != nil || seen[string(sealed)] || bytes.Contains(sealed, []byte("secret")) {
					t.Errorf("%q: %v", sealed, err)
				}
				seen[string(sealed)] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestAShortRootKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, short := range []string{"", "hunter2", strings.Repeat("r", 31)} {
		if _, err := New([]byte(short)); err == nil || short != "" && strings.Contains(err.Error(), short) {
			t.Errorf("%d bytes: %v", len(short), err)
		}
	}
}
