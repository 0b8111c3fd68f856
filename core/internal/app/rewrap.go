package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/secrets"
)

// maxPasses is how often the secrets are gone over because some have changed.
const maxPasses = 10

// rotation is what rewrapAll has done.
type rotation struct {
	wrapped, current int
	closed           unopened
}

func (r *rotation) tell(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s wrapped in the current key, %d were so already\n", english.Plural(r.wrapped, "secret", ""), r.current)
}

// rewrapAll wraps every secret in the first of the keys. Servers may run: one that
// a user changes meanwhile stays what the user has made it, and is looked at in
// another pass. Each is replaced whole or not at all, so after a kill the next call
// does what is left.
func rewrapAll(ctx context.Context, db core.EncryptedSecretStore, keys [][]byte) (*rotation, error) {
	keyring, err := secrets.New(keys...)
	if err != nil {
		return nil, err
	}
	done := &rotation{}
	for range maxPasses {
		pass, err := rewrapPass(ctx, db, keyring)
		if err != nil {
			return nil, err
		}
		done.wrapped += pass.wrapped
		done.current, done.closed = pass.current, pass.closed
		if pass.wrapped == 0 && pass.changed == 0 {
			done.current -= done.wrapped
			done.current = max(done.current, 0) // some were deleted meanwhile
			return done, nil
		}
	}
	return nil, errors.New("secrets are still being sealed with another key: give every server the same keys in the same order, and try again")
}

// pass is one over all secrets.
type pass struct {
	rotation
	// changed are those that were changed meanwhile.
	changed int
}

func rewrapPass(ctx context.Context, db core.EncryptedSecretStore, keyring *secrets.Keyring) (*pass, error) {
	p := &pass{}
	return p, eachEncryptedSecret(ctx, db, func(values []core.EncryptedSecret) error {
		// All at once, for then they are one commit.
		var wg sync.WaitGroup
		replaced, errs := make([]bool, len(values)), make([]error, len(values))
		for i, v := range values {
			again, err := keyring.Rewrap(v.ID, v.Bytes)
			switch {
			case err != nil:
				p.closed.add(v)
			case bytes.Equal(again, v.Bytes):
				p.current++
			default:
				p.changed++
				wg.Go(func() { replaced[i], errs[i] = db.ReplaceEncryptedSecret(ctx, v, again) })
			}
		}
		wg.Wait()
		for _, done := range replaced {
			if done {
				p.wrapped++
				p.changed--
			}
		}
		return errors.Join(errs...)
	})
}
