package cli

import (
	"context"
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
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/storage"
)

// secretsCommands are the agentarea secrets commands.
type secretsCommands struct {
	Rotate secretsRotateCommand `cmd:"" help:"Rewrap all secrets in the database with the current key. If the key is in a file, first generate a new one. Run the command again to resume an interrupted rotation."`
	Status secretsStatusCommand `cmd:"" help:"Count the secrets in the database by the key that decrypts them. Changes nothing."`
}

// withSecrets calls do with the database and the secret keys of a server. It returns an error unless the
// database has the schema of this program.
func (d *databaseFlags) withSecrets(ctx context.Context, do func(*storage.DB, *datadir.KeySource) error) error {
	source, err := datadir.FindKeys(d.DataDir, os.Getenv)
	if err != nil {
		return err
	}
	return storage.With(ctx, d.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		if err := checkSchema(ctx, db); err != nil {
			return err
		}
		return do(db, source)
	})
}

// undecryptableError returns an error with the names of the secrets and a remedy, or nil if there are
// none. source is the variable or file that the keys come from.
func undecryptableError(u *secrets.Undecryptable, source string) error {
	if len(u.Names) == 0 {
		return nil
	}
	return fmt.Errorf("%s cannot be decrypted with the keys in %s: %s. Add the key that encrypted them (id %s) there, "+
		"or set the secrets again",
		english.Plural(len(u.Names), "secret", ""), source, strings.Join(u.Names, ", "), strings.Join(u.KeyIDs(), ", "))
}

// secretsStatusCommand is agentarea secrets status.
type secretsStatusCommand struct{ databaseFlags }

// Run prints a table of the keys with the number of their secrets. It returns an error if there are
// secrets that no key decrypts.
func (c *secretsStatusCommand) Run(ctx context.Context, out *output) error {
	return c.withSecrets(ctx, func(db *storage.DB, source *datadir.KeySource) error {
		keyring, err := secrets.New(source.Keys...)
		if err != nil {
			return err
		}
		counts := map[string]int{}
		for i, k := range source.Keys {
			id, err := keyID(k)
			if err != nil {
				return err
			}
			counts[keyRow(id, i == 0, true)] = 0
		}
		var bad secrets.Undecryptable
		oldForm := 0
		err = secrets.EachPage(ctx, db, func(page []core.EncryptedSecret) error {
			for _, s := range page {
				id, old, err := secrets.IDOf(s.Bytes)
				if err == nil {
					counts[keyRow(id, id == keyring.Current(), keyring.Has(id))]++
				}
				if old {
					oldForm++
				}
				if _, err := keyring.Decrypt(s.ID, s.Bytes); err != nil {
					bad.Add(s)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out.stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(w, "keys in\t%s\nKEY\t\tSECRETS\n", source.Name)
		for _, row := range slices.Sorted(maps.Keys(counts)) {
			_, _ = fmt.Fprintf(w, "%s\t%d\n", row[1:], counts[row])
		}
		if oldForm > 0 {
			_, _ = fmt.Fprintf(w, "%s in an old format: run agentarea secrets rotate to convert them\n",
				english.Plural(oldForm, "secret is", "secrets are"))
		}
		return errors.Join(w.Flush(), undecryptableError(&bad, source.Name))
	})
}

func keyID(root []byte) (secrets.KeyID, error) {
	r, err := secrets.New(root)
	if err != nil {
		return secrets.KeyID{}, err
	}
	return r.Current(), nil
}

// keyRow returns the row of a key in the status table, after a letter by which the rows are sorted.
func keyRow(id secrets.KeyID, current, listed bool) string {
	switch {
	case current:
		return "a" + id.String() + "\tcurrent"
	case listed:
		return "b" + id.String() + "\tolder"
	}
	return "c" + id.String() + "\tnot listed"
}

// secretsRotateCommand is agentarea secrets rotate.
type secretsRotateCommand struct {
	databaseFlags
	KeepOld bool `help:"Keep the old key in the file, so that users stay signed in. Run the command again without this flag to remove the key."`
}

// Run rewraps all secrets with the current key. If the keys are in a file, it first adds a new key, and
// removes the old one afterwards.
func (c *secretsRotateCommand) Run(ctx context.Context, out *output) error {
	return c.withSecrets(ctx, func(db *storage.DB, source *datadir.KeySource) error {
		if source.File != "" {
			return c.rotateFile(ctx, db, source, out.stdout)
		}
		done, err := secrets.RewrapAll(ctx, db, source.Keys)
		if err != nil {
			return err
		}
		printRotation(out.stdout, done)
		return undecryptableError(&done.Undecryptable, source.Name)
	})
}

func printRotation(w io.Writer, r *secrets.Rotation) {
	_, _ = fmt.Fprintf(w, "%s rewrapped with the current key, %d already used it\n",
		english.Plural(r.Rewrapped, "secret", ""), r.Current)
}

// rotateFile rotates the key in the data directory. The file has both keys until no secret needs the old
// one, so after a crash the next call finds two keys and continues.
func (c *secretsRotateCommand) rotateFile(
	ctx context.Context, db *storage.DB, source *datadir.KeySource, stdout io.Writer,
) error {
	dir, err := datadir.Open(c.DataDir)
	if err != nil {
		return fmt.Errorf("%w (the key in %s can be changed only while no server uses it)", err, source.File)
	}
	defer dir.Close() //nolint:errcheck // this releases the lock
	if s, err := db.Schema(ctx); err != nil {
		return err
	} else if strings.HasPrefix(c.url(), "postgres") && s.Servers > 0 {
		return fmt.Errorf("%s on the database and would not know the new key: stop them (a killed server counts for 20 s), "+
			"or set the keys of all servers in AGENTAREA_SECRET_KEY", english.Plural(s.Servers, "server runs", "servers run"))
	}
	// Read again under the lock, because another process may have changed them.
	keys, err := dir.SecretKeys()
	if err != nil {
		return err
	}
	if err := dir.RemoveTemporary(datadir.KeyFile); err != nil {
		return err
	}
	if len(keys) == 1 {
		keys = [][]byte{datadir.NewKey(), keys[0]}
		if err := dir.Replace(datadir.KeyFile, datadir.FormatKeys(keys)); err != nil {
			return err
		}
	} else {
		_, _ = fmt.Fprintf(stdout, "%s already has %d keys; the first one is used as the new key\n", source.File, len(keys))
	}
	done, err := secrets.RewrapAll(ctx, db, keys)
	if err != nil {
		return err
	}
	printRotation(stdout, done)
	bad := &done.Undecryptable
	for _, old := range keys[1:] {
		id, err := keyID(old)
		if err != nil {
			return err
		}
		if bad.NeedsKey(id) {
			return fmt.Errorf("%w; the old key stays in the file", undecryptableError(bad, source.File))
		}
	}
	if c.KeepOld {
		_, _ = fmt.Fprintf(stdout,
			"the old key stays in %s: users stay signed in until you run agentarea secrets rotate without --keep-old\n",
			source.File)
		return undecryptableError(bad, source.File)
	}
	if err := dir.Replace(datadir.KeyFile, datadir.FormatKeys(keys[:1])); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout,
		"removed the old key from %s: all users must sign in again, and restoring an older backup needs the old key\n",
		source.File)
	return undecryptableError(bad, source.File)
}
