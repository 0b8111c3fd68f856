package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

type instance012 struct {
	bun.BaseModel `bun:"table:instance"`

	ID string `bun:"id,pk"`
}

// instance adds the table with the id of the database.
func instance(ctx context.Context, db bun.IDB) error {
	_, err := db.NewCreateTable().Model((*instance012)(nil)).Exec(ctx)
	return err
}
