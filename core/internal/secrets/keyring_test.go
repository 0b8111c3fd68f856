package secrets

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

// encryptedForm1 is a secret of the row server-1 that the key root encrypted with a version of this
// program that only wrote form 1.
const encryptedForm1 = "01939372ac277f8db9a36d5c3ea50440756b88e247edbe50a75e490db8889699d0349b154a01ccc8c7c78592bfe258"

func form1(t testing.TB) []byte {
	t.Helper()
	encrypted, err := hex.DecodeString(encryptedForm1)
	if err != nil {
		t.Fatal(err)
	}
	return encrypted
}

func TestDecrypt_form1(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*Keyring{"the key alone": keyring(t, root), "an older key": keyring(t, other, root)} {
		if got, err := s.Decrypt("server-1", form1(t)); err != nil || string(got) != "secret-key" {
			t.Errorf("%s: Decrypt = %q, %v, want the secret", name, got, err)
		}
	}
	if got, err := keyring(t, root).Decrypt("server-2", form1(t)); err == nil {
		t.Errorf("Decrypt for another row = %q, want an error", got)
	}
}

func TestKeyring_firstKeyEncryptsAllKeysDecrypt(t *testing.T) {
	t.Parallel()
	before := encrypt(t, keyring(t, root), "server-1", "secret-key")
	both := keyring(t, other, root)
	if got, err := both.Decrypt("server-1", before); err != nil || string(got) != "secret-key" {
		t.Errorf("Decrypt = %q, %v, want the secret", got, err)
	}
	after := encrypt(t, both, "server-1", "secret-key")
	if got, err := keyring(t, other).Decrypt("server-1", after); err != nil || string(got) != "secret-key" {
		t.Errorf("Decrypt = %q, %v, want the secret", got, err)
	}
	if _, err := keyring(t, root).Decrypt("server-1", after); !errors.Is(err, ErrKey) {
		t.Errorf("Decrypt with the older key only: error %v, want ErrKey", err)
	}
	if _, err := New(); err == nil {
		t.Error("New without keys: no error")
	}
}

// The new key alone decrypts a rewrapped secret, and the encrypted secret itself is unchanged.
func TestRewrap(t *testing.T) {
	t.Parallel()
	both := keyring(t, other, root)
	before := encrypt(t, keyring(t, root), "server-1", "secret-key")
	after, err := both.Rewrap("server-1", before)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keyring(t, other).Decrypt("server-1", after); err != nil || string(got) != "secret-key" {
		t.Errorf("Decrypt = %q, %v, want the secret", got, err)
	}
	const secretAt = headSize + dataKeySize + overhead
	if len(after) != len(before) || !bytes.Equal(after[secretAt:], before[secretAt:]) ||
		bytes.Contains(after, before[headSize:secretAt]) {
		t.Error("Rewrap must change the wrapped data key and nothing else")
	}
	if again, err := both.Rewrap("server-1", after); err != nil || !bytes.Equal(again, after) {
		t.Errorf("Rewrap changed a secret of the current key, error %v", err)
	}
	upgraded, err := both.Rewrap("server-1", form1(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keyring(t, other).Decrypt("server-1", upgraded); err != nil || string(got) != "secret-key" ||
		upgraded[0] != formEnvelope {
		t.Errorf("Rewrap of form 1 decrypts to %q, %v, want the secret in form 2", got, err)
	}
	if id, old, err := IDOf(upgraded); err != nil || old || id != both.Current() || !both.Has(id) {
		t.Errorf("IDOf = %s, %t, %v, want the current key and the new form", id, old, err)
	}
	if id, old, err := IDOf(form1(t)); err != nil || !old || id != keyring(t, root).Current() {
		t.Errorf("IDOf form 1 = %s, %t, %v, want the key root and the old form", id, old, err)
	}
}

// Rewrap must not turn a broken secret into one that looks intact.
func TestRewrap_undecryptableSecret(t *testing.T) {
	t.Parallel()
	both := keyring(t, other, root)
	encrypted := encrypt(t, keyring(t, root), "server-1", "secret-key")
	broken := bytes.Clone(encrypted)
	broken[len(broken)-1] ^= 1
	for name, c := range map[string]struct {
		row       string
		encrypted []byte
	}{
		"another row":         {"server-2", encrypted},
		"broken":              {"server-1", broken},
		"empty":               {"server-1", nil},
		"another key":         {"server-1", encrypt(t, keyring(t, root[1:]+"x"), "server-1", "x")},
		"form 1, another row": {"server-2", form1(t)},
	} {
		if got, err := both.Rewrap(c.row, c.encrypted); err == nil {
			t.Errorf("%s: Rewrap = %x, want an error", name, got)
		}
	}
}

// FuzzDecrypt checks that any bytes decrypt to the original secret or not at all, and that a rewrapped
// secret is the same secret.
func FuzzDecrypt(f *testing.F) {
	one, err := New([]byte(root))
	if err != nil {
		f.Fatal(err)
	}
	both, err := New([]byte(other), []byte(root))
	if err != nil {
		f.Fatal(err)
	}
	encrypted, err := one.Encrypt("server-1", []byte("secret-key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encrypted)
	f.Add(form1(f))
	f.Add(encrypted[:headSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, encrypted []byte) {
		got, err := one.Decrypt("server-1", encrypted)
		if err == nil && string(got) != "secret-key" {
			t.Fatalf("Decrypt = %q", got)
		}
		again, wrapErr := both.Rewrap("server-1", encrypted)
		if (err == nil) != (wrapErr == nil) {
			t.Fatalf("Decrypt: error %v; Rewrap: error %v", err, wrapErr)
		}
		if err != nil {
			return
		}
		if got, err := both.Decrypt("server-1", again); err != nil || string(got) != "secret-key" {
			t.Fatalf("Decrypt after Rewrap = %q, %v", got, err)
		}
	})
}
