package backup

import (
	"context"

	"github.com/agentarea/agentarea/storage"
)

// Copy copies everything from one database to an empty one and verifies it. It creates the schema of
// the target and calls done for each table that has been copied and compared. No server may run on
// either database.
func Copy(ctx context.Context, fromURL, toURL string, done func(storage.CopiedTable)) error {
	return storage.With(ctx, fromURL, storage.Options{Existing: true}, func(from *storage.DB) error {
		return storage.With(ctx, toURL, storage.Options{}, func(to *storage.DB) error {
			if err := to.Migrate(ctx); err != nil {
				return err
			}
			return storage.Copy(ctx, from, to, done)
		})
	})
}
