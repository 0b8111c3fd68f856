package storage

import (
	"context"
	"errors"
)

// With opens the database at url, checks the connection, calls do with it and closes it.
func With(ctx context.Context, url string, o Options, do func(*DB) error) error {
	db, err := Open(ctx, url, o)
	if err != nil {
		return err
	}
	if err := db.Connect(ctx, 0, nil); err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(do(db), db.Close())
}
