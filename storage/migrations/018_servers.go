package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

type server018 struct {
	bun.BaseModel `bun:"table:servers"`

	ID        string `bun:"id,pk"`
	Host      string `bun:"host,notnull"`
	Version   string `bun:"version,notnull"`
	Keys      string `bun:"keys,notnull"`
	Plugins   string `bun:"plugins,notnull"`
	StartedAt int64  `bun:"started_at,notnull"`
}

// servers adds the table of the running servers, so that one with another configuration is found.
func servers(ctx context.Context, db bun.IDB) error {
	_, err := db.NewCreateTable().Model((*server018)(nil)).Exec(ctx)
	return err
}
