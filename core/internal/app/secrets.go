package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/storage"
)

// secretsCommands are agentarea secrets ….
type secretsCommands struct {
	Rotate rotateCommand        `cmd:"" help:"Wrap all secrets of the database in the current key. With the key in a file, first make a new one. What was cut goes on with the same command."`
	Status secretsStatusCommand `cmd:"" help:"Count the secrets of the database by the key that opens them. Changes nothing."`
}

// sealedPage is how many secrets are read at once, and wrapped in one commit.
const sealedPage = 200

// eachEncryptedSecret reads all that is sealed, a page at a time.
func eachEncryptedSecret(ctx context.Context, db core.EncryptedSecretStore, page func([]core.EncryptedSecret) error) error {
	for after := ""; ; {
		values, err := db.EncryptedSecrets(ctx, after, sealedPage)
		if err != nil {
			return fmt.Errorf("read the secrets: %w", err)
		}
		if len(values) == 0 {
			return nil
		}
		if err := page(values); err != nil {
			return err
		}
		after = values[len(values)-1].ID
	}
}

// unopened are the names of what a keyring can't open, and the ids of the keys that
// sealed it.
type unopened struct {
	names []string
	keys  map[secrets.KeyID]bool
}

func (u *unopened) add(v core.EncryptedSecret) {
	u.names = append(u.names, v.Name)
	if u.keys == nil {
		u.keys = map[secrets.KeyID]bool{}
	}
	if id, _, err := secrets.IDOf(v.Bytes); err == nil {
		u.keys[id] = true
	}
}

// keyIDs are in hex.
func (u *unopened) keyIDs() []string {
	var ids []string
	for id := range u.keys {
		ids = append(ids, id.String())
	}
	slices.Sort(ids)
	return ids
}

// err says what to do about them; nil for none.
func (u *unopened) err(of string) error {
	if len(u.names) == 0 {
		return nil
	}
	return fmt.Errorf("%s can't be opened with what is in %s: %s: list the key that sealed them (id %s) there, too, or give the secrets anew",
		english.Plural(len(u.names), "secret", ""), of, strings.Join(u.names, ", "), strings.Join(u.keyIDs(), ", "))
}

// checkSecrets says at the start what the server's keys don't open. It serves all
// the same, and what is stored stays as it is.
func (a *App) checkSecrets(ctx context.Context, keyring *secrets.Keyring) error {
	var closed unopened
	err := eachEncryptedSecret(ctx, a.db, func(values []core.EncryptedSecret) error {
		for _, v := range values {
			if _, err := keyring.Decrypt(v.ID, v.Bytes); err != nil {
				closed.add(v)
			}
		}
		return nil
	})
	if err == nil && len(closed.names) > 0 {
		a.logger.ErrorContext(ctx, "secrets can't be opened with the secret keys that this server has: nothing of them is lost, but what needs them "+
			"does not run; start it with the key that sealed them in AGENTAREA_SECRET_KEY or secret.key (after the current one), or give them anew",
			"of", closed.names, "sealed_with", closed.keyIDs(), "current", keyring.Current().String())
	}
	return err
}

// withSecrets opens the keys and the database of a command, which must have this
// program's schema.
func (d *database) withSecrets(ctx context.Context, do func(*storage.DB, *keySource) error) error {
	source, err := findKeys(d.DataDir, os.Getenv)
	if err != nil {
		return err
	}
	return withDatabase(ctx, d.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		s, err := db.Schema(ctx)
		switch {
		case err != nil:
			return err
		case s.Version < s.Known:
			return fmt.Errorf("the database has schema %d and this agentarea's is %d: run agentarea db migrate first", s.Version, s.Known)
		case s.Version > s.Known:
			return fmt.Errorf("the database has schema %d, but this agentarea supports %d at most: use the newer agentarea that migrated it", s.Version, s.Known)
		}
		return do(db, source)
	})
}

type secretsStatusCommand struct{ database }

func (c *secretsStatusCommand) run(ctx context.Context, stdout io.Writer) error {
	return c.withSecrets(ctx, func(db *storage.DB, source *keySource) error {
		keyring, err := secrets.New(source.keys...)
		if err != nil {
			return err
		}
		counts := map[string]int{}
		for i, k := range source.keys {
			id, err := keyID(k)
			if err != nil {
				return err
			}
			counts[keyRow(id, i == 0, true)] = 0
		}
		var closed unopened
		old := 0
		err = eachEncryptedSecret(ctx, db, func(values []core.EncryptedSecret) error {
			for _, v := range values {
				id, direct, err := secrets.IDOf(v.Bytes)
				if err == nil {
					counts[keyRow(id, id == keyring.Current(), keyring.Has(id))]++
				}
				if direct {
					old++
				}
				if _, err := keyring.Decrypt(v.ID, v.Bytes); err != nil {
					closed.add(v)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(w, "keys in\t%s\nKEY\t\tSECRETS\n", source.name)
		for _, row := range slices.Sorted(maps.Keys(counts)) {
			_, _ = fmt.Fprintf(w, "%s\t%d\n", row[1:], counts[row])
		}
		if old > 0 {
			_, _ = fmt.Fprintf(w, "%s of an older form: agentarea secrets rotate makes envelopes of them\n", english.Plural(old, "secret is", "secrets are"))
		}
		return errors.Join(w.Flush(), closed.err(source.name))
	})
}

func keyID(root []byte) (secrets.KeyID, error) {
	r, err := secrets.New(root)
	if err != nil {
		return secrets.KeyID{}, err
	}
	return r.Current(), nil
}

// keyRow is a key as status shows it, after a letter that orders the rows.
func keyRow(id secrets.KeyID, current, listed bool) string {
	switch {
	case current:
		return "a" + id.String() + "\tcurrent"
	case listed:
		return "b" + id.String() + "\tolder"
	}
	return "c" + id.String() + "\tnot listed"
}

type rotateCommand struct {
	database
	KeepOld bool `help:"Leave the old key in the file, so that sign-ins stay good; the same command without it drops the key."`
}

func (c *rotateCommand) run(ctx context.Context, stdout io.Writer) error {
	return c.withSecrets(ctx, func(db *storage.DB, source *keySource) error {
		if source.file != "" {
			return c.inFile(ctx, db, source, stdout)
		}
		done, err := rewrapAll(ctx, db, source.keys)
		if err != nil {
			return err
		}
		done.tell(stdout)
		return done.closed.err(source.name)
	})
}

// inFile gives the data dir a new key. The file has both keys until no secret needs
// the old one: cut at any moment, the next call finds two keys and goes on.
func (c *rotateCommand) inFile(ctx context.Context, db *storage.DB, source *keySource, stdout io.Writer) error {
	data, err := openDataDir(c.DataDir)
	if err != nil {
		return fmt.Errorf("the key in %s is changed only while no server uses it: %w", source.file, err)
	}
	defer data.Close() //nolint:errcheck // this lets go of the lock
	if s, err := db.Schema(ctx); err != nil {
		return err
	} else if strings.HasPrefix(c.url(), "postgres") && s.Servers > 0 {
		return fmt.Errorf("%s on the database, and would not know the new key: stop them (one that was killed counts for 20 s), "+
			"or give all of them their keys in AGENTAREA_SECRET_KEY", english.Plural(s.Servers, "server runs", "servers run"))
	}
	// Read again, now that nobody else changes them.
	keys, err := data.secretKeys()
	if err != nil {
		return err
	}
	if err := data.tidy(keyFile); err != nil {
		return err
	}
	if len(keys) == 1 {
		fresh, err := hex.DecodeString(newKey())
		if err != nil {
			return err
		}
		keys = [][]byte{fresh, keys[0]}
		if err := data.replace(keyFile, keyLines(keys)); err != nil {
			return err
		}
	} else {
		_, _ = fmt.Fprintf(stdout, "%s has %d keys already: the first is taken\n", source.file, len(keys))
	}
	done, err := rewrapAll(ctx, db, keys)
	if err != nil {
		return err
	}
	done.tell(stdout)
	for _, old := range keys[1:] {
		id, err := keyID(old)
		if err != nil {
			return err
		}
		if done.closed.keys[id] {
			return fmt.Errorf("the old key stays in the file: %w", done.closed.err(source.file))
		}
	}
	if c.KeepOld {
		_, _ = fmt.Fprintf(stdout, "the old key stays in %s: sign-ins stay good until agentarea secrets rotate is run without --keep-old\n", source.file)
		return done.closed.err(source.file)
	}
	if err := data.replace(keyFile, keyLines(keys[:1])); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "the old key is gone from %s: everybody signs in anew, and a backup from before needs the key that it had\n", source.file)
	return done.closed.err(source.file)
}

// keyLines are keys as the file has them.
func keyLines(keys [][]byte) string {
	lines := make([]string, len(keys))
	for i, k := range keys {
		lines[i] = hex.EncodeToString(k)
	}
	return strings.Join(lines, "\n")
}
