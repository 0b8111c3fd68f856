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

func encrypt(t *testing.T, s *Keyring, row, secret string) []byte {
	t.Helper()
	encrypted, err := s.Encrypt(row, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return encrypted
}

func TestDecrypt_sameRootKey(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "a", "secret-key", strings.Repeat("long ", 100_000), "\x00\xff"} {
		for _, row := range []string{"", "server-1"} {
			got, err := keyring(t, root).Decrypt(row, encrypt(t, keyring(t, root), row, secret))
			if err != nil || string(got) != secret {
				t.Errorf("%.9q of row %q decrypts to %.9q, %v", secret, row, got, err)
			}
		}
	}
}

func TestDecrypt_errors(t *testing.T) {
	t.Parallel()
	s := keyring(t, root)
	encrypted := encrypt(t, s, "server-1", "secret-key")
	newer := bytes.Clone(encrypted)
	newer[0]++
	older := bytes.Clone(encrypted)
	older[0] = formDirect
	// The id of another key with a ciphertext of this key.
	renamed := bytes.Clone(encrypted)
	copy(renamed[1:], keyring(t, other).current.id[:])
	// The data key of one secret with the ciphertext of another, both of the same row.
	mixed := append(bytes.Clone(encrypted[:headSize+dataKeySize+overhead]),
		encrypt(t, s, "server-1", "other-key!")[headSize+dataKeySize+overhead:]...)
	for name, c := range map[string]struct {
		keyring   *Keyring
		row       string
		encrypted []byte
		want      string
	}{
		"another root key":   {keyring(t, other), "server-1", encrypted, "another secret key"},
		"id of another root": {keyring(t, other), "server-1", renamed, "was changed"},
		"another row":        {s, "server-2", encrypted, "belongs to another row"},
		"no row":             {s, "", encrypted, "belongs to another row"},
		"empty":              {s, "server-1", nil, "its format is unknown"},
		"only a head":        {s, "server-1", encrypted[:headSize], "its format is unknown"},
		"only a data key":    {s, "server-1", encrypted[:headSize+dataKeySize+overhead], "its format is unknown"},
		"another data key":   {s, "server-1", mixed, "was changed"},
		"marked as form 1":   {s, "server-1", older, "was changed"},
		"one byte less":      {s, "server-1", encrypted[:len(encrypted)-1], "was changed"},
		"one byte more":      {s, "server-1", append(bytes.Clone(encrypted), 0), "was changed"},
		"newer form":         {s, "server-1", newer, "its format is unknown"},
		"plain text":         {s, "server-1", []byte(`{"env":{"API_KEY":"secret-key"},"headers":{}}`), "its format is unknown"},
		"first byte missing": {s, "server-1", encrypted[1:], ""},
	} {
		got, err := c.keyring.Decrypt(c.row, c.encrypted)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Decrypt = %q, %v, want an error with %q", name, got, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret-key") {
			t.Errorf("%s: the error contains the secret: %v", name, err)
		}
	}
}

func TestDecrypt_anyBitChanged(t *testing.T) {
	t.Parallel()
	s := keyring(t, root)
	encrypted := encrypt(t, s, "server-1", "secret-key")
	for i := range encrypted {
		for bit := range 8 {
			changed := bytes.Clone(encrypted)
			changed[i] ^= 1 << bit
			if got, err := s.Decrypt("server-1", changed); err == nil {
				t.Fatalf("bit %d of byte %d changed: Decrypt = %q, want an error", bit, i, got)
			}
		}
	}
}

// A ciphertext reveals neither the secret nor that two secrets are the same.
func TestEncrypt_ciphertextIsUniqueAndOpaque(t *testing.T) {
	t.Parallel()
	s := keyring(t, root)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				encrypted, err := s.Encrypt("server-1", []byte("secret-key"))
				mu.Lock()
				if err != nil || seen[string(encrypted)] || bytes.Contains(encrypted, []byte("secret")) {
					t.Errorf("Encrypt = %q, %v, want a unique ciphertext", encrypted, err)
				}
				seen[string(encrypted)] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestNew_shortRootKey(t *testing.T) {
	t.Parallel()
	for _, short := range []string{"", "hunter2", strings.Repeat("r", 31)} {
		if _, err := New([]byte(short)); err == nil || short != "" && strings.Contains(err.Error(), short) {
			t.Errorf("New with %d bytes: error %v, want one without the key", len(short), err)
		}
	}
}
