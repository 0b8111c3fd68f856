package app

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
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/storage"
)

var (
	oldKey   = []byte(strings.Repeat("o", 32))
	newerKey = []byte(strings.Repeat("n", 32))
)

func ringOf(t *testing.T, keys ...[]byte) *secrets.Keyring {
	t.Helper()
	r, err := secrets.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sealedServers makes a data dir whose key is oldKey, with as many MCP servers.
func sealedServers(t *testing.T, n int) (dir string, db *storage.DB) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte(hex.EncodeToString(oldKey)), 0o600); err != nil {
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
		addEncryptedSecret(t, db, ringOf(t, oldKey), i)
	}
	return dir, db
}

func addEncryptedSecret(t *testing.T, db *storage.DB, ring *secrets.Keyring, i int) {
	t.Helper()
	id := fmt.Sprintf("server-%04d", i)
	sealed, err := ring.Encrypt(id, []byte("secret of "+id))
	if err != nil {
		t.Fatal(err)
	}
	s := &core.MCPServer{ID: id, Slug: id, Secrets: sealed, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	if err := db.CreateMCPServer(t.Context(), core.Actor{Role: core.RoleAdmin}, s, false); err != nil {
		t.Fatal(err)
	}
}

// openAll counts what a keyring opens, each as what it is.
func openAll(t *testing.T, db *storage.DB, ring *secrets.Keyring) (opened, closed int) {
	t.Helper()
	err := eachEncryptedSecret(t.Context(), db, func(values []core.EncryptedSecret) error {
		for _, v := range values {
			secret, err := ring.Decrypt(v.ID, v.Bytes)
			switch {
			case err != nil:
				closed++
			case string(secret) == "secret of "+v.ID:
				opened++
			default:
				t.Errorf("%s is opened as %q", v.ID, secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened, closed
}

func wantOpen(t *testing.T, db *storage.DB, opened, closed int, keys ...[]byte) {
	t.Helper()
	if o, c := openAll(t, db, ringOf(t, keys...)); o != opened || c != closed {
		t.Errorf("%d are opened and %d are not, want %d and %d", o, c, opened, closed)
	}
}

// changing is a store in which a user changes secrets just before they are replaced.
type changing struct {
	*storage.DB
	before func(core.EncryptedSecret)
}

func (c *changing) ReplaceEncryptedSecret(ctx context.Context, s core.EncryptedSecret, again []byte) (bool, error) {
	c.before(s)
	return c.DB.ReplaceEncryptedSecret(ctx, s, again)
}

// TestWhatAUserChangesMeanwhileIsNotUndone, whichever key the user's server has first.
func TestWhatAUserChangesMeanwhileIsNotUndone(t *testing.T) {
	t.Parallel()
	_, db := sealedServers(t, 450)
	users := map[string][]byte{"server-0007": oldKey, "server-0300": newerKey}
	fresh := map[string][]byte{}
	for id, key := range users {
		sealed, err := ringOf(t, key).Encrypt(id, []byte("secret of "+id))
		if err != nil {
			t.Fatal(err)
		}
		fresh[id] = sealed
	}
	store := &changing{DB: db}
	store.before = func(s core.EncryptedSecret) {
		if sealed := fresh[s.ID]; sealed != nil && !bytes.Equal(sealed, s.Bytes) {
			if done, err := db.ReplaceEncryptedSecret(context.Background(), s, sealed); err != nil || !done {
				t.Errorf("%t %v", done, err)
			}
		}
	}
	done, err := rewrapAll(t.Context(), store, [][]byte{newerKey, oldKey})
	if err != nil || done.wrapped != 449 || len(done.closed.names) > 0 {
		t.Errorf("%+v %v", done, err)
	}
	wantOpen(t, db, 450, 0, newerKey)
	now, err := db.MCPServer(t.Context(), core.Actor{Role: core.RoleAdmin}, "server-0300")
	if err != nil || !bytes.Equal(now.Secrets, fresh["server-0300"]) {
		t.Error("what the user gave was replaced", err)
	}
	again, err := rewrapAll(t.Context(), db, [][]byte{newerKey, oldKey})
	if err != nil || again.wrapped != 0 || again.current != 450 {
		t.Errorf("again: %+v %v", again, err)
	}
}

// TestRotateInTheFile: cut wherever it may be, the next call ends it; the old key
// goes when nothing needs it.
func TestRotateInTheFile(t *testing.T) {
	t.Parallel()
	dir, db := sealedServers(t, 20)
	rotate := func(want string, flags ...string) []string {
		t.Helper()
		code, out, errs := command(t, append([]string{"secrets", "rotate", "--data-dir=" + dir}, flags...)...)
		if !strings.Contains(out+errs, want) || (code == 0) != (errs == "") {
			t.Errorf("%d %q %q, want %q", code, out, errs, want)
		}
		text, err := os.ReadFile(filepath.Join(dir, keyFile))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(text))
	}
	server, err := openDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if keys := rotate("only while no server uses it"); len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
	_ = server.Close()

	// As a kill leaves it: both keys are there, and some secrets are wrapped.
	both := hex.EncodeToString(newerKey) + "\n" + hex.EncodeToString(oldKey) + "\n"
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile+".1234"), []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	values, err := db.EncryptedSecrets(t.Context(), "", 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		again, err := ringOf(t, newerKey, oldKey).Rewrap(v.ID, v.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ReplaceEncryptedSecret(t.Context(), v, again); err != nil {
			t.Fatal(err)
		}
	}
	wantOpen(t, db, 7, 13, newerKey)
	if keys := rotate("13 secrets wrapped in the current key, 7 were so already", "--keep-old"); len(keys) != 2 {
		t.Errorf("%d keys", len(keys))
	}
	if keys := rotate("the old key is gone"); len(keys) != 1 || keys[0] != hex.EncodeToString(newerKey) {
		t.Errorf("%q", keys)
	}
	wantOpen(t, db, 20, 0, newerKey)
	if left, _ := filepath.Glob(filepath.Join(dir, keyFile+".*")); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
	// Whole: a new key is made.
	keys := rotate("20 secrets wrapped in the current key, 0 were so already")
	if len(keys) != 1 || keys[0] == hex.EncodeToString(newerKey) {
		t.Errorf("%d keys", len(keys))
	}
	wantOpen(t, db, 0, 20, newerKey)

	// One that nobody can open is told, and keeps nothing from the others.
	addEncryptedSecret(t, db, ringOf(t, oldKey), 20)
	keys = rotate(`1 secret can't be opened with what is in ` + filepath.Join(dir, keyFile) + `: MCP server "server-0020"`)
	key, err := hex.DecodeString(keys[0])
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	wantOpen(t, db, 20, 1, key)
	code, out, errs := command(t, "secrets", "status", "--data-dir="+dir)
	for _, want := range []string{ringOf(t, key).Current().String() + "  current", "20\n", ringOf(t, oldKey).Current().String() + "  not listed  1\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("status %q, want %q", out, want)
		}
	}
	if code != 1 || !strings.Contains(errs, "list the key that sealed them (id "+ringOf(t, oldKey).Current().String()) {
		t.Errorf("%d %q", code, errs)
	}
}

// TestABrokenSecretKeepsItsKey: as long as one row names the old key, it stays.
func TestABrokenSecretKeepsItsKey(t *testing.T) {
	t.Parallel()
	dir, db := sealedServers(t, 2)
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
	text, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil || code != 1 || !strings.Contains(errs, "the old key stays in the file: 1 secret can't be opened") || len(strings.Fields(string(text))) != 2 {
		t.Errorf("%d %q %v", code, errs, err)
	}
}
