package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/storage"
)

var (
	oldKey   = []byte(strings.Repeat("o", 32))
	newerKey = []byte(strings.Repeat("n", 32))
)

func newKeyring(t *testing.T, keys ...[]byte) *secrets.Keyring {
	t.Helper()
	r, err := secrets.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newSecrets creates a data directory with the key oldKey and a database with n secrets of MCP servers.
func newSecrets(t *testing.T, n int) (dir string, db *storage.DB) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, datadir.KeyFile), []byte(hex.EncodeToString(oldKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), "sqlite://"+dir+"/agentarea.db", storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		addSecret(t, db, newKeyring(t, oldKey), i)
	}
	return dir, db
}

func addSecret(t *testing.T, db *storage.DB, keyring *secrets.Keyring, i int) {
	t.Helper()
	id := fmt.Sprintf("server-%04d", i)
	encrypted, err := keyring.Encrypt(id, []byte("secret of "+id))
	if err != nil {
		t.Fatal(err)
	}
	s := &core.MCPServer{ID: id, Slug: id, Secrets: encrypted, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	if err := db.CreateMCPServer(t.Context(), nil, core.Actor{Role: core.RoleAdmin}, s, false); err != nil {
		t.Fatal(err)
	}
}

// countDecryptable counts the secrets that the keyring decrypts to their original text, and the others.
func countDecryptable(t *testing.T, db *storage.DB, keyring *secrets.Keyring) (good, bad int) {
	t.Helper()
	err := secrets.EachPage(t.Context(), db, func(values []core.EncryptedSecret) error {
		for _, v := range values {
			secret, err := keyring.Decrypt(v.ID, v.Bytes)
			switch {
			case err != nil:
				bad++
			case string(secret) == "secret of "+v.ID:
				good++
			default:
				t.Errorf("%s decrypts to %q", v.ID, secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return good, bad
}

func wantDecryptable(t *testing.T, db *storage.DB, good, bad int, keys ...[]byte) {
	t.Helper()
	if g, b := countDecryptable(t, db, newKeyring(t, keys...)); g != good || b != bad {
		t.Errorf("%d secrets can be decrypted and %d cannot, want %d and %d", g, b, good, bad)
	}
}

// changingStore calls before just before it replaces a secret.
type changingStore struct {
	*storage.DB
	before func(core.EncryptedSecret)
}

func (c *changingStore) ReplaceEncryptedSecret(
	ctx context.Context, s core.EncryptedSecret, again []byte,
) (bool, error) {
	c.before(s)
	return c.DB.ReplaceEncryptedSecret(ctx, s, again)
}

// A secret that a user changes during the rotation keeps the user's value, whichever key the user's server
// encrypts with.
func TestRewrapAll_secretChangedMeanwhile(t *testing.T) {
	t.Parallel()
	_, db := newSecrets(t, 450)
	users := map[string][]byte{"server-0007": oldKey, "server-0300": newerKey}
	fresh := map[string][]byte{}
	for id, key := range users {
		encrypted, err := newKeyring(t, key).Encrypt(id, []byte("secret of "+id))
		if err != nil {
			t.Fatal(err)
		}
		fresh[id] = encrypted
	}
	store := &changingStore{DB: db}
	store.before = func(s core.EncryptedSecret) {
		if encrypted := fresh[s.ID]; encrypted != nil && !bytes.Equal(encrypted, s.Bytes) {
			if done, err := db.ReplaceEncryptedSecret(context.Background(), s, encrypted); err != nil || !done {
				t.Errorf("ReplaceEncryptedSecret = %t, %v, want true", done, err)
			}
		}
	}
	done, err := secrets.RewrapAll(t.Context(), store, [][]byte{newerKey, oldKey})
	if err != nil || done.Rewrapped != 449 || len(done.Undecryptable.Names) > 0 {
		t.Errorf("RewrapAll = %+v, error %v, want 449 rewrapped", done, err)
	}
	wantDecryptable(t, db, 450, 0, newerKey)
	now, err := db.MCPServer(t.Context(), core.Actor{Role: core.RoleAdmin}, "server-0300")
	if err != nil || !bytes.Equal(now.Secrets, fresh["server-0300"]) {
		t.Errorf("the value of the user was replaced, error %v", err)
	}
	again, err := secrets.RewrapAll(t.Context(), db, [][]byte{newerKey, oldKey})
	if err != nil || again.Rewrapped != 0 || again.Current != 450 {
		t.Errorf("second RewrapAll = %+v, error %v, want nothing rewrapped", again, err)
	}
}

// An interrupted rotation is resumed by the next call, and the old key is removed when no secret needs it.
func TestSecretsRotate_keyFile(t *testing.T) {
	t.Parallel()
	dir, db := newSecrets(t, 20)
	rotate := func(want string, flags ...string) []string {
		t.Helper()
		code, out, errs := command(t, append([]string{"secrets", "rotate", "--data-dir=" + dir}, flags...)...)
		if !strings.Contains(out+errs, want) || (code == 0) != (errs == "") {
			t.Errorf("exit code %d, output %q %q, want %q", code, out, errs, want)
		}
		text, err := os.ReadFile(filepath.Join(dir, datadir.KeyFile))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(text))
	}
	server, err := datadir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if keys := rotate("only while no server uses it"); len(keys) != 1 {
		t.Errorf("got %d keys in the file, want 1", len(keys))
	}
	_ = server.Close()

	// The state after a crash: the file has both keys, and some secrets are rewrapped.
	both := hex.EncodeToString(newerKey) + "\n" + hex.EncodeToString(oldKey) + "\n"
	if err := os.WriteFile(filepath.Join(dir, datadir.KeyFile), []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, datadir.KeyFile+".1234"), []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	values, err := db.EncryptedSecrets(t.Context(), "", 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		again, err := newKeyring(t, newerKey, oldKey).Rewrap(v.ID, v.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ReplaceEncryptedSecret(t.Context(), v, again); err != nil {
			t.Fatal(err)
		}
	}
	wantDecryptable(t, db, 7, 13, newerKey)
	if keys := rotate("13 secrets rewrapped with the current key, 7 already used it", "--keep-old"); len(keys) != 2 {
		t.Errorf("got %d keys in the file, want 2", len(keys))
	}
	if keys := rotate("removed the old key"); len(keys) != 1 || keys[0] != hex.EncodeToString(newerKey) {
		t.Errorf("the file has the keys %q, want the newer one only", keys)
	}
	wantDecryptable(t, db, 20, 0, newerKey)
	if left, _ := filepath.Glob(filepath.Join(dir, datadir.KeyFile+".*")); len(left) > 0 {
		t.Errorf("temporary files %q are left", left)
	}
	// A complete rotation generates a new key.
	keys := rotate("20 secrets rewrapped with the current key, 0 already used it")
	if len(keys) != 1 || keys[0] == hex.EncodeToString(newerKey) {
		t.Errorf("got %d keys in the file, want one new key", len(keys))
	}
	wantDecryptable(t, db, 0, 20, newerKey)

	// A secret that no key decrypts is reported and does not affect the others.
	addSecret(t, db, newKeyring(t, oldKey), 20)
	keys = rotate(`1 secret cannot be decrypted with the keys in ` + filepath.Join(dir, datadir.KeyFile) +
		`: MCP server "server-0020"`)
	key, err := hex.DecodeString(keys[0])
	if err != nil || len(keys) != 1 {
		t.Fatalf("got keys %v (%v), want one in hex", keys, err)
	}
	wantDecryptable(t, db, 20, 1, key)
	code, out, errs := command(t, "secrets", "status", "--data-dir="+dir)
	for _, want := range []string{
		newKeyring(t, key).Current().String() + "  current", "20\n",
		newKeyring(t, oldKey).Current().String() + "  not listed  1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("status = %q, want %q", out, want)
		}
	}
	if code != 1 ||
		!strings.Contains(errs, "Add the key that encrypted them (id "+newKeyring(t, oldKey).Current().String()) {
		t.Errorf("status: exit code %d, stderr %q, want 1 and the id of the missing key", code, errs)
	}
}

// The old key stays as long as one secret needs it, even a damaged one.
func TestSecretsRotate_damagedSecret(t *testing.T) {
	t.Parallel()
	dir, db := newSecrets(t, 2)
	values, err := db.EncryptedSecrets(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	broken := bytes.Clone(values[0].Bytes)
	broken[len(broken)-1] ^= 1
	if _, err := db.ReplaceEncryptedSecret(t.Context(), values[0], broken); err != nil {
		t.Fatal(err)
	}
	code, _, errs := command(t, "secrets", "rotate", "--data-dir="+dir)
	text, err := os.ReadFile(filepath.Join(dir, datadir.KeyFile))
	if err != nil || code != 1 || !strings.Contains(errs, "1 secret cannot be decrypted") ||
		len(strings.Fields(string(text))) != 2 {
		t.Errorf("exit code %d, stderr %q, error %v, want 1 and both keys in the file", code, errs, err)
	}
}
