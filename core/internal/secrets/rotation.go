package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/core"
)

const (
	// pageSize is the number of secrets that are read at once and rewrapped in one commit.
	pageSize = 200
	// maxPasses bounds how often RewrapAll goes through all secrets because some have changed.
	maxPasses = 10
)

// EachPage calls do with all secrets of the store, a page at a time.
func EachPage(ctx context.Context, store core.EncryptedSecretStore, do func([]core.EncryptedSecret) error) error {
	for after := ""; ; {
		page, err := store.EncryptedSecrets(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("read the secrets: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if err := do(page); err != nil {
			return err
		}
		after = page[len(page)-1].ID
	}
}

// Undecryptable collects secrets that a keyring cannot decrypt.
type Undecryptable struct {
	// Names are the names of the rows, such as MCP server "weather".
	Names []string
	keys  map[KeyID]bool
}

// Add adds a secret.
func (u *Undecryptable) Add(s core.EncryptedSecret) {
	u.Names = append(u.Names, s.Name)
	if u.keys == nil {
		u.keys = map[KeyID]bool{}
	}
	if id, _, err := IDOf(s.Bytes); err == nil {
		u.keys[id] = true
	}
}

// NeedsKey reports whether the key with that id encrypted one of the secrets.
func (u *Undecryptable) NeedsKey(id KeyID) bool { return u.keys[id] }

// KeyIDs returns the ids, in hex and sorted, of the keys that encrypted the secrets.
func (u *Undecryptable) KeyIDs() []string {
	var ids []string
	for id := range u.keys {
		ids = append(ids, id.String())
	}
	slices.Sort(ids)
	return ids
}

// FindUndecryptable returns the secrets of the store that the keyring cannot decrypt.
func FindUndecryptable(ctx context.Context, store core.EncryptedSecretStore, keyring *Keyring) (Undecryptable, error) {
	var found Undecryptable
	err := EachPage(ctx, store, func(page []core.EncryptedSecret) error {
		for _, s := range page {
			if _, err := keyring.Decrypt(s.ID, s.Bytes); err != nil {
				found.Add(s)
			}
		}
		return nil
	})
	return found, err
}

// Rotation is the result of RewrapAll.
type Rotation struct {
	// Rewrapped counts the secrets that were rewrapped, Current those that had the current key before.
	Rewrapped, Current int
	Undecryptable      Undecryptable
}

// RewrapAll rewraps every secret of the store with the first of the keys. Servers may run meanwhile: a
// secret that a user changes keeps the user's value and is checked in another pass. Each secret is
// replaced atomically, so after a crash the next call continues. RewrapAll returns an error if secrets
// are still being encrypted with another key after maxPasses passes.
func RewrapAll(ctx context.Context, store core.EncryptedSecretStore, keys [][]byte) (*Rotation, error) {
	keyring, err := New(keys...)
	if err != nil {
		return nil, err
	}
	total := &Rotation{}
	for range maxPasses {
		p, err := rewrapPass(ctx, store, keyring)
		if err != nil {
			return nil, err
		}
		total.Rewrapped += p.Rewrapped
		total.Current, total.Undecryptable = p.Current, p.Undecryptable
		if p.Rewrapped == 0 && p.changed == 0 {
			// Rows that were deleted meanwhile would make the difference negative.
			total.Current = max(total.Current-total.Rewrapped, 0)
			return total, nil
		}
	}
	return nil, errors.New("secrets are still being encrypted with another key: give every server the same keys in the " +
		"same order, and try again")
}

// pass is the result of one pass over all secrets.
type pass struct {
	Rotation
	// changed counts the secrets that a user changed during the pass.
	changed int
}

func rewrapPass(ctx context.Context, store core.EncryptedSecretStore, keyring *Keyring) (*pass, error) {
	p := &pass{}
	return p, EachPage(ctx, store, func(page []core.EncryptedSecret) error {
		// Concurrent replacements share one commit.
		var wg sync.WaitGroup
		replaced, errs := make([]bool, len(page)), make([]error, len(page))
		for i, s := range page {
			again, err := keyring.Rewrap(s.ID, s.Bytes)
			switch {
			case err != nil:
				p.Undecryptable.Add(s)
			case bytes.Equal(again, s.Bytes):
				p.Current++
			default:
				p.changed++
				wg.Go(func() { replaced[i], errs[i] = store.ReplaceEncryptedSecret(ctx, s, again) })
			}
		}
		wg.Wait()
		for _, done := range replaced {
			if done {
				p.Rewrapped++
				p.changed--
			}
		}
		return errors.Join(errs...)
	})
}
