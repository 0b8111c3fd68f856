package secrets

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

// sealedOfForm1 was made by the program that knew no other form: of server-1, by
// the key root.
const sealedOfForm1 = "01939372ac277f8db9a36d5c3ea50440756b88e247edbe50a75e490db8889699d0349b154a01ccc8c7c78592bfe258"

func ofForm1(t testing.TB) []byte {
	t.Helper()
	sealed, err := hex.DecodeString(sealedOfForm1)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatIsOfForm1IsOpened(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*Keyring{"the key alone": keyring(t, root), "an older key": keyring(t, other, root)} {
		if got, err := s.Decrypt("server-1", ofForm1(t)); err != nil || string(got) != "secret-key" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := keyring(t, root).Decrypt("server-2", ofForm1(t)); err == nil {
		t.Errorf("of another row: %q", got)
	}
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	t.Parallel()
	before := seal(t, keyring(t, root), "server-1", "secret-key")
	both := keyring(t, other, root)
	if got, err := both.Decrypt("server-1", before); err != nil || string(got) != "secret-key" {
		t.Errorf("%q, %v", got, err)
	}
	after := seal(t, both, "server-1", "secret-key")
	if got, err := keyring(t, other).Decrypt("server-1", after); err != nil || string(got) != "secret-key" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := keyring(t, root).Decrypt("server-1", after); !errors.Is(err, ErrKey) {
		t.Errorf("by the older one alone: %v", err)
	}
	if _, err := New(); err == nil {
		t.Error("no key at all is taken")
	}
}

// TestRewrap: by the new key alone it can be opened, and nothing of it was sealed anew.
func TestRewrap(t *testing.T) {
	t.Parallel()
	both := keyring(t, other, root)
	before := seal(t, keyring(t, root), "server-1", "secret-key")
	after, err := both.Rewrap("server-1", before)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keyring(t, other).Decrypt("server-1", after); err != nil || string(got) != "secret-key" {
		t.Errorf("%q, %v", got, err)
	}
	const secretAt = headSize + dataKeySize + overhead
	if len(after) != len(before) || !bytes.Equal(after[secretAt:], before[secretAt:]) || bytes.Contains(after, before[headSize:secretAt]) {
		t.Error("more than the wrapped key has changed, or that has not")
	}
	if again, err := both.Rewrap("server-1", after); err != nil || !bytes.Equal(again, after) {
		t.Errorf("what is by the current key has changed: %v", err)
	}
	lifted, err := both.Rewrap("server-1", ofForm1(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keyring(t, other).Decrypt("server-1", lifted); err != nil || string(got) != "secret-key" || lifted[0] != formEnvelope {
		t.Errorf("of form 1: %q, %v", got, err)
	}
	if id, old, err := IDOf(lifted); err != nil || old || id != both.Current() || !both.Has(id) {
		t.Errorf("%s %t %v", id, old, err)
	}
	if id, old, err := IDOf(ofForm1(t)); err != nil || !old || id != keyring(t, root).Current() {
		t.Errorf("of form 1: %s %t %v", id, old, err)
	}
}

// TestRewrapRefuses: what can't be opened is not made to look sound.
func TestRewrapRefuses(t *testing.T) {
	t.Parallel()
	both := keyring(t, other, root)
	sealed := seal(t, keyring(t, root), "server-1", "secret-key")
	broken := bytes.Clone(sealed)
	broken[len(broken)-1] ^= 1
	for name, c := range map[string]struct {
		of     string
		sealed []byte
	}{
		"of another row": {"server-2", sealed}, "broken": {"server-1", broken}, "nothing": {"server-1", nil},
		"another key's": {"server-1", seal(t, keyring(t, root[1:]+"x"), "server-1", "x")}, "of form 1 and another row": {"server-2", ofForm1(t)},
	} {
		if got, err := both.Rewrap(c.of, c.sealed); err == nil {
			t.Errorf("%s: %x", name, got)
		}
	}
}

// FuzzOpen: whatever stands in the database, it is opened as what was sealed or
// refused, and what is rewrapped is the same secret.
func FuzzOpen(f *testing.F) {
	one, err := New([]byte(root))
	if err != nil {
		f.Fatal(err)
	}
	both, err := New([]byte(other), []byte(root))
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := one.Encrypt("server-1", []byte("secret-key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(ofForm1(f))
	f.Add(sealed[:headSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		got, err := one.Decrypt("server-1", sealed)
		if err == nil && string(got) != "secret-key" {
			t.Fatalf("opened as %q", got)
		}
		again, wrapErr := both.Rewrap("server-1", sealed)
		if (err == nil) != (wrapErr == nil) {
			t.Fatalf("opened: %v; rewrapped: %v", err, wrapErr)
		}
		if err != nil {
			return
		}
		if got, err := both.Decrypt("server-1", again); err != nil || string(got) != "secret-key" {
			t.Fatalf("rewrapped and opened as %q, %v", got, err)
		}
	})
}
