package storage

import (
	"context"
	"errors"
)

// With opens the database at url, calls do with it and closes it.
func With(ctx context.Context, url string, o Options, do func(*DB) error) error {
	db, err := Open(ctx, url, o)
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}
